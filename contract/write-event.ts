import { z } from 'zod';

/** Core's ids are 32-bit; Postgres rejects a whole query for one that is not. */
const id = z
  .int()
  .min(1)
  .max(2 ** 31 - 1);

/**
 * A string that Core can hold, with a maximum number of characters: Postgres rejects NUL, and half a surrogate pair
 * would become another character in transit.
 */
const text = (characters: number) =>
  z
    .string()
    .max(2 * characters)
    .refine((value) => value.isWellFormed() && !value.includes('\0') && [...value].length <= characters, {
      error: `must be at most ${characters} characters without NUL and unpaired surrogates`,
    });

/** Core's columns: `api_key varchar(100)`, `identifier varchar(2000)`, `trait_key varchar(200)`. */
const apiKey = text(100).min(1);
const identifier = text(2000);
const traitKey = text(200);

/** More than an event of 64 KB has room for. */
const MOST_PARTS = 32_768;

/** Printable ASCII: it is used in message headers and logs. */
const printable = (characters: number) =>
  z
    .string()
    .regex(/^[\x21-\x7e]*$/)
    .max(characters);

/**
 * How an event names an environment. A client key is public and is sent as it is; of a server key (`ser.…`) only the
 * lower-case hex SHA-256 ever leaves the Core API's pod.
 */
export const environmentReference = z.union([
  z.strictObject({ clientKey: apiKey }),
  z.strictObject({ serverKeySha256: z.string().regex(/^[0-9a-f]{64}$/) }),
  z.strictObject({ environmentId: id }),
]);

/**
 * The environment's documents under one client key: its present one, or a former one. Only appliers send this, about an
 * environment to which they know it belongs; from anyone else it would be an order to delete.
 */
const keyedReference = z.strictObject({ environmentId: id, apiKey });

const derivedReference = z.union([...environmentReference.options, keyedReference]);

/**
 * The documents that the event is about. `identity` is the usual case; `identityId` is Core's id, if a request names
 * nothing else; the applier fans wider targets out over Core's and Edge's identities.
 */
function targetWith<Reference extends z.ZodType>(environment: Reference) {
  return z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('identity'), environment, identifier }),
    z.strictObject({ kind: z.literal('identityId'), identityId: id }),
    z.strictObject({ kind: z.literal('environment'), environment }),
    /**
     * Every identity that has or had an override of the feature, or holds one of its options; only in this project if
     * it is named.
     */
    z.strictObject({ kind: z.literal('feature'), featureId: id, projectId: id.exactOptional() }),
    /** All features of a project, as above: some of them were deleted and can no longer be named. */
    z.strictObject({
      kind: z.literal('features'),
      of: z.union([z.strictObject({ projectId: id }), environment]),
    }),
    /** Every identity that holds the option, in any override, and those of the option's feature. */
    z.strictObject({ kind: z.literal('option'), optionId: id }),
    /**
     * The identity of a feature state, and its feature; rows of deleted ones remain. `moved`: it may have come from any
     * identity of its environment.
     */
    z.strictObject({ kind: z.literal('featureState'), featureStateId: id, moved: z.literal(true).exactOptional() }),
    z.strictObject({ kind: z.literal('project'), projectId: id }),
    /**
     * All projects that Core has deleted, with overrides of their features elsewhere: the request does not name them.
     */
    z.strictObject({ kind: z.literal('deletedProjects') }),
  ]);
}

const eventTarget = targetWith(derivedReference);

/**
 * The parts of the identity that the request may have changed. Existence is always checked; `[]` touches nothing else.
 */
const touchedParts = z.strictObject({
  traits: z.union([z.literal('all'), z.array(traitKey).max(MOST_PARTS).readonly()]),
  /** Core's feature ids. */
  overrides: z.union([z.literal('all'), z.array(id).max(MOST_PARTS).readonly()]),
  /**
   * Core may have moved the identity here from another name or environment key, with all its traits: a document that
   * was created on Edge under this key gets the missing ones.
   */
  moved: z.literal(true).optional(),
});

/**
 * One write that may have changed identities in Core, or an event that an applier derived from one. It carries no
 * values: Flagsmith's responses and statuses do not show what was committed, so its handler reads Core's rows
 * (docs/design.md, "Events").
 */
export const writeEvent = z.strictObject({
  version: z.literal(1),
  /** Unique; also the `Nats-Msg-Id`. */
  id: printable(64).min(1),
  target: eventTarget,
  touched: touchedParts,
  /**
   * Flagsmith settings under which Core ignores the traits that the request sets (not those that it deletes):
   * `clientTraits` = the environment's `allow_client_traits` (the request had a client key), `persistTraitData` = the
   * organisation's setting.
   */
  traitGates: z
    .array(z.enum(['clientTraits', 'persistTraitData']))
    .max(2)
    .readonly(),
  /**
   * `known`: the API answered. `unknown`: it did not (reset, timeout, crash of the sidecar), so its commit may follow:
   * handle at once and again after the API's request timeout. `background`: the API answered but a task does the work:
   * handle at once, after the request timeout and after ten minutes.
   */
  outcome: z.enum(['known', 'unknown', 'background']),
  /**
   * RFC 3339, when the request began: before the API could act on it, even if its end was recorded much later.
   * Determines whether the event belongs to the replay window. Absent in events of older sidecars.
   */
  beganTime: z.iso.datetime({ precision: 3 }).optional(),
  /** RFC 3339, when the sidecar saw the end of the response (or gave up waiting for one). */
  observedTime: z.iso.datetime({ precision: 3 }),
  /** Name of the row in the route table. */
  route: printable(64),
  /** The capturing sidecar: `<pod name>/<pod uid>`. */
  instance: printable(320),
});

/** As sent by a sidecar: a claim, which names a key only as the client presented it. */
export const claimedEvent = writeEvent.extend({ target: targetWith(environmentReference) });

/**
 * As derived by appliers of earlier releases, without their own marker. The owner of the key is looked up again, as for
 * any
 * claim.
 */
const unmarkedReference = keyedReference.transform(({ apiKey }) => ({ clientKey: apiKey }));
export const unmarkedEvent = writeEvent.extend({
  target: targetWith(z.union([...environmentReference.options, unmarkedReference])),
});

export type EnvironmentReference = z.infer<typeof environmentReference>;
/** As in events derived by an applier. */
export type DerivedReference = z.infer<typeof derivedReference>;
export type EventTarget = z.infer<typeof eventTarget>;
export type TouchedParts = z.infer<typeof touchedParts>;
export type WriteEvent = z.infer<typeof writeEvent>;

/** JetStream stream of all write events. */
export const STREAM = 'IDENTITY_WRITES';
/** Events are published below this subject. */
export const SUBJECT = 'identity.writes';
