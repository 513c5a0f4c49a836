import type { Backoff } from './backoff.ts';
import type { RetryPolicy } from './retry.ts';

/**
 * How often, how long and how fast the product tries again, and how long it waits for an answer; all of it is here, so
 * that another policy is a change of this file alone. What people may set themselves is in the settings
 * (docs/configuration.md), with these as defaults where they are the same thing.
 */

// DynamoDB.

/** A call: throttling is over, or a partition has moved, within seconds; what lasts longer is the caller's to tell. */
export const DYNAMODB_CALL = { firstMs: 50, longestMs: 5_000, budgetMs: 20_000 } satisfies RetryPolicy;

/** One request; it lies in no queue of ours any more once a write of it may count as late (`lateWriteSeconds`). */
export const DYNAMODB_REQUEST_MS = 10_000;

/** A look into another region: looks are many, and one region must not hold up what another one could be asked. */
export const OTHER_REGION_CALL = { ...DYNAMODB_CALL, budgetMs: 1_000 } satisfies RetryPolicy;

/** One request to another region. */
export const OTHER_REGION_REQUEST_MS = 3_000;

/** A region that did not answer is left alone for so long: what waits for it would ask thousands of times. */
export const OTHER_REGION_REST_MS = 5_000;

// Convergence.

/** Passes over one identity that others write to at the same time; each is a few reads, and one of us gets through soon. */
export const CONTENTION = { firstMs: 20, longestMs: 500, attempts: 30 } satisfies RetryPolicy;

// NATS.

/** The first connection, for ever; spread, so that a restarted server does not meet all clients at once. */
export const NATS_CONNECT = { firstMs: 500, longestMs: 2_000 } satisfies RetryPolicy;

/** The client library connects again by itself, for ever, after a pause between these. */
export const NATS_RECONNECT_MS = { shortest: 250, longest: 2_000 };

/** A publish of the sidecar that failed; a stream without a leader has one again within seconds. */
export const SIDECAR_PUBLISH = { firstMs: 200, longestMs: 10_000 } satisfies Backoff;
