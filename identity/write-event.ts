import { z } from 'zod';

/**
 * How an event names an environment. A client key is public and is sent as it is; of a server key (`ser.…`) only the
 * lower-case hex SHA-256 ever leaves the Core API's pod.
 */
export const environmentReference = z.union([
  z.strictObject({ clientKey: z.string().min(1).max(100) }),
  z.strictObject({ serverKeySha256: z.string().regex(/^[0-9a-f]{64}$/) }),
  z.strictObject({ environmentId: z.int().positive() }),
  /** With the client key under which the documents are: the environment's, or one that it had before. */
  z.strictObject({ environmentId: z.int().positive(), apiKey: z.string().min(1).max(100) }),
]);

/** Core's ids are 32-bit. */
const id = z.int().min(1).max(2_147_483_647);

/**
 * Whose documents the event is about. `identity` is the ordinary case; `identityId` is Core's id where a request names
 * nothing else; the wider ones are fanned out over Core's and Edge's identities by whoever handles the event.
 */
export const eventTarget = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('identity'), environment: environmentReference, identifier: z.string() }),
  z.strictObject({ kind: z.literal('identityId'), identityId: id }),
  z.strictObject({ kind: z.literal('environment'), environment: environmentReference }),
  /** Every identity that has or had an override of the feature, or holds one of its options; of this project alone if it is named. */
  z.strictObject({ kind: z.literal('feature'), featureId: id, projectId: id.exactOptional() }),
  /** All features of a project, as above: something of them has gone that cannot be named any more. */
  z.strictObject({
    kind: z.literal('features'),
    of: z.union([z.strictObject({ projectId: id }), environmentReference]),
  }),
  /** Every identity that holds the option, in whatever override, and those of the option's feature. */
  z.strictObject({ kind: z.literal('option'), optionId: id }),
  /**
   * The identity that a feature state is of, and its feature; rows of deleted ones stay. `moved`: it may have come from
   * any identity of its environment.
   */
  z.strictObject({ kind: z.literal('featureState'), featureStateId: id, moved: z.literal(true).exactOptional() }),
  z.strictObject({ kind: z.literal('project'), projectId: id }),
  /** Whatever projects Core has deleted: the request does not say which. */
  z.strictObject({ kind: z.literal('deletedProjects') }),
]);

/** Which parts of the identity the request may have changed. Existence is always checked; `[]` touches nothing else. */
export const touchedParts = z.strictObject({
  traits: z.union([z.literal('all'), z.array(z.string()).readonly()]),
  /** Core's feature ids. */
  overrides: z.union([z.literal('all'), z.array(z.int()).readonly()]),
  /**
   * Core may have moved the identity here from another name or environment key, with all its traits: a document that
   * was born on Edge under this key gets those that it lacks.
   */
  moved: z.literal(true).optional(),
});

/**
 * One write that may have changed identities in Core. It carries no values: Flagsmith's responses and statuses do not
 * tell what was committed, so whoever handles it reads Core's rows (docs/design.md, "Events").
 */
export const writeEvent = z.strictObject({
  version: z.literal(1),
  /** Unique; also the `Nats-Msg-Id`. */
  id: z.string().min(1).max(64),
  target: eventTarget,
  touched: touchedParts,
  /**
   * Flagsmith settings under which Core ignores the request's traits: `clientTraits` = the environment's
   * `allow_client_traits` (the request came with a client key), `persistTraitData` = the organisation's setting.
   */
  traitGates: z.array(z.enum(['clientTraits', 'persistTraitData'])).readonly(),
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
  route: z.string().max(64),
  /** The sidecar that saw it: `<pod name>/<pod uid>`. */
  instance: z.string().max(320),
});

export type EnvironmentReference = z.infer<typeof environmentReference>;
export type EventTarget = z.infer<typeof eventTarget>;
export type TouchedParts = z.infer<typeof touchedParts>;
export type WriteEvent = z.infer<typeof writeEvent>;

/** JetStream stream of all write events. */
export const STREAM = 'IDENTITY_WRITES';
/** Events are published below this subject. */
export const SUBJECT = 'identity.writes';
