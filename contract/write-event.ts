import { z } from 'zod';

/** Core's ids are 32-bit; Postgres refuses a whole query for one that is not. */
const id = z
  .int()
  .min(1)
  .max(2 ** 31 - 1);

/**
 * A text that Core can hold, of at most so many characters: Postgres refuses NUL, and half a surrogate pair would become
 * another character on its way.
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

/** Printable ASCII: it ends up in message headers and logs. */
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
 * The environment's documents under one client key: its own, or one that it had before. Only appliers say this, of an
 * environment of which they know it; from anyone else it would be an order to delete.
 */
const keyedReference = z.strictObject({ environmentId: id, apiKey });

const derivedReference = z.union([...environmentReference.options, keyedReference]);

/**
 * Whose documents the event is about. `identity` is the ordinary case; `identityId` is Core's id where a request names
 * nothing else; the wider ones are fanned out over Core's and Edge's identities by whoever handles the event.
 */
function targetWith<Reference extends z.ZodType>(environment: Reference) {
  return z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('identity'), environment, identifier }),
    z.strictObject({ kind: z.literal('identityId'), identityId: id }),
    z.strictObject({ kind: z.literal('environment'), environment }),
    /** Every identity that has or had an override of the feature, or holds one of its options; of this project alone if it is named. */
    z.strictObject({ kind: z.literal('feature'), featureId: id, projectId: id.exactOptional() }),
    /** All features of a project, as above: something of them has gone that cannot be named any more. */
    z.strictObject({
      kind: z.literal('features'),
      of: z.union([z.strictObject({ projectId: id }), environment]),
    }),
    /** Every identity that holds the option, in whatever override, and those of the option's feature. */
    z.strictObject({ kind: z.literal('option'), optionId: id }),
    /**
     * The identity that a feature state is of, and its feature; rows of deleted ones stay. `moved`: it may have come from
     * any identity of its environment.
     */
    z.strictObject({ kind: z.literal('featureState'), featureStateId: id, moved: z.literal(true).exactOptional() }),
    z.strictObject({ kind: z.literal('project'), projectId: id }),
    /** Whatever projects Core has deleted, with overrides of their features elsewhere: the request does not say which. */
    z.strictObject({ kind: z.literal('deletedProjects') }),
  ]);
}

const eventTarget = targetWith(derivedReference);

/** Which parts of the identity the request may have changed. Existence is always checked; `[]` touches nothing else. */
const touchedParts = z.strictObject({
  traits: z.union([z.literal('all'), z.array(traitKey).max(MOST_PARTS).readonly()]),
  /** Core's feature ids. */
  overrides: z.union([z.literal('all'), z.array(id).max(MOST_PARTS).readonly()]),
  /**
   * Core may have moved the identity here from another name or environment key, with all its traits: a document that
   * was born on Edge under this key gets those that it lacks.
   */
  moved: z.literal(true).optional(),
});

/**
 * One write that may have changed identities in Core, or what an applier derived from one. It carries no values:
 * Flagsmith's responses and statuses do not tell what was committed, so whoever handles it reads Core's rows
 * (docs/design.md, "Events").
 */
export const writeEvent = z.strictObject({
  version: z.literal(1),
  /** Unique; also the `Nats-Msg-Id`. */
  id: printable(64).min(1),
  target: eventTarget,
  touched: touchedParts,
  /**
   * Flagsmith settings under which Core ignores the traits that the request sets (not those that it deletes): `clientTraits` = the environment's
   * `allow_client_traits` (the request came with a client key), `persistTraitData` = the organisation's setting.
   */
  traitGates: z
    .array(z.enum(['clientTraits', 'persistTraitData']))
    .max(2)
    .readonly(),
  /**
   * `known`: the API answered. `unknown`: it did not (reset, timeout, crash of the sidecar), so its commit may come
   * later: handle at once and again after the API's request timeout. `background`: the API answered but a task does
   * the work: handle at once, after the request timeout and after ten minutes.
   */
  outcome: z.enum(['known', 'unknown', 'background']),
  /**
   * RFC 3339, when the request began: before the API could act on it, however late its end was noted down. Whether the
   * event belongs to the replay window is told by this. Missing in events of older sidecars.
   */
  beganTime: z.iso.datetime({ precision: 3 }).optional(),
  /** RFC 3339, when the sidecar saw the end of the response (or gave up waiting for one). */
  observedTime: z.iso.datetime({ precision: 3 }),
  /** Name of the route table's row. */
  route: printable(64),
  /** The sidecar that saw it: `<pod name>/<pod uid>`. */
  instance: printable(320),
});

/** As a sidecar sends it: a claim, which names no key but as the client presented it. */
export const claimedEvent = writeEvent.extend({ target: targetWith(environmentReference) });

/**
 * As appliers of earlier releases derived it, without a mark of their own. Whose the key is, is asked once more, as of any
 * claim.
 */
const unmarkedReference = keyedReference.transform(({ apiKey }) => ({ clientKey: apiKey }));
export const unmarkedEvent = writeEvent.extend({
  target: targetWith(z.union([...environmentReference.options, unmarkedReference])),
});

export type EnvironmentReference = z.infer<typeof environmentReference>;
/** As in events that an applier derives. */
export type DerivedReference = z.infer<typeof derivedReference>;
export type EventTarget = z.infer<typeof eventTarget>;
export type TouchedParts = z.infer<typeof touchedParts>;
export type WriteEvent = z.infer<typeof writeEvent>;

/** JetStream stream of all write events. */
export const STREAM = 'IDENTITY_WRITES';
/** Events are published below this subject. */
export const SUBJECT = 'identity.writes';
