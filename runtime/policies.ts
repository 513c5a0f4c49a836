import type { Backoff } from './backoff.ts';
import type { RetryPolicy } from './retry.ts';

/**
 * How often, how long and how fast the product tries again, and how long it waits for an answer; all of it is here, so
 * that another policy is a change of this file alone. What people may set themselves is in the settings
 * (docs/configuration.md), with these as defaults where they are the same thing.
 */

// Postgres; what fails there is tried again by whoever asks, a worker or an applier.

/** Until a connection stands, waiting for a free one included. */
export const POSTGRES_CONNECT_MS = 10_000;

/** One statement: as long as a page of the copy may be old. */
export const POSTGRES_STATEMENT_MS = 30_000;

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

// The API server of Kubernetes.

/** A call. A longer Retry-After is the caller's to wait for: it has a queue, we have a worker to give back. */
export const API_CALL = {
  ...{ firstMs: 100, longestMs: 5_000, attempts: 5 },
  longestRetryAfterMs: 10_000,
} satisfies RetryPolicy;

/** One try of a call; watches are judged by their silence instead. */
export const API_REQUEST_MS = 30_000;

/** A list or a watch that failed, as client-go has it; pauses are anything up to these. */
export const LIST_WATCH = { firstMs: 800, longestMs: 30_000 } satisfies Backoff;

/** After a watch that lived so long the next failure is the first one again. */
export const LIST_WATCH_HEALTHY_MS = 30_000;

/** One reconcile: as long as all its calls may take, one after the other, when something is slow. */
export const RECONCILE_MS = 300_000;

/** A key whose reconcile failed; for one key, and over all keys; client-go's defaults (`workqueue.DefaultTypedControllerRateLimiter`). */
export const WORK_QUEUE = { firstMs: 5, longestMs: 1_000_000 } satisfies Backoff;
export const WORK_QUEUE_RATE = { perSecond: 10, burst: 100 };

/** An EdgeMigration: a cause outside that has been corrected is noticed within a minute, however long it lasted. */
export const RECONCILE_AGAIN = { ...WORK_QUEUE, longestMs: 60_000 } satisfies Backoff;

/** An Event for people, which is worth less than what it tells of. */
export const EVENT_RECORD = { firstMs: 500, longestMs: 30_000, attempts: 5 } satisfies RetryPolicy;

/**
 * Leader election, client-go's defaults. Candidates come at different times, so that they do not fight over a free lease:
 * after the retry period and up to `jitter` times as much more.
 */
export const LEASE = { durationMs: 15_000, renewMs: 10_000, retryMs: 2_000, jitter: 1.2 };

// Convergence.

/** Passes over one identity that others write to at the same time; each is a few reads, and one of us gets through soon. */
export const CONTENTION = { firstMs: 20, longestMs: 500, attempts: 30 } satisfies RetryPolicy;

/** A change that somebody asks for, of an EdgeMigration that its operator writes to; a person or a program waits for it. */
export const EDIT = { firstMs: 50, longestMs: 1_000, attempts: 8 } satisfies RetryPolicy;

/** The same for an event of Flagsmith's dashboard, which is sent again by itself, and is answered within four seconds. */
export const REQUEST = { firstMs: 50, longestMs: 1_000, attempts: 5 } satisfies RetryPolicy;

// Workers of Jobs.

/** Pods of one range in one Job; Kubernetes chooses the pauses. */
export const RANGE_PODS = { attempts: 7 };

/** The next Job after one that failed, for ever. */
export const JOB_AGAIN = { firstMs: 15_000, longestMs: 10 * 60_000 } satisfies Backoff;

/** The next hand-over after one that failed, for ever; each is a pod of the Core API's image. */
export const HANDOVER_AGAIN = { firstMs: 10 * 60_000, longestMs: 60 * 60_000 } satisfies Backoff;

/** One step of a worker; how long it may go on failing is a setting (`PATIENCE_SECONDS`), the next try is the Job's. */
export const WORKER_CALL = { firstMs: 200, longestMs: 10_000 } satisfies RetryPolicy;

// Appliers.

/** An event while a store is out: for ever, since that is not the event's fault. */
export const STORE_OUTAGE = { firstMs: 100, longestMs: 10_000 } satisfies RetryPolicy;

/** An event that fails by itself, until it is parked as poison. */
export const EVENT = { firstMs: 100, longestMs: 10_000, attempts: 5 } satisfies RetryPolicy;

/** The streams at the start of an applier, for ever: the operator may not have made them yet. */
export const STREAMS_READY = { firstMs: 1_000, longestMs: 2_000 } satisfies RetryPolicy;

/** An event that cannot be gone on with now: what follows from it cannot be published, or too much is under way. */
export const HAND_AGAIN_MS = 2_000;

/** An event that cannot be parked stays in the stream, and is delivered again after so long. */
export const PARK_AGAIN_MS = 10_000;

/** Fetching events that failed; the consumer is asked about again. */
export const FETCH_AGAIN_MS = 1_000;

// The sidecar; a request never waits for more than its proxy's limits allow.

/** A connection that the API refuses: gunicorn is starting, or being reloaded, for a moment. */
export const UPSTREAM_AGAIN_MS = 50;

/** A disk that failed is tried again after so long; until then what would be written is a gap. */
export const SPOOL_AGAIN_MS = 1_000;

// NATS.

/** The first connection, for ever; spread, so that a restarted server does not meet all clients at once. */
export const NATS_CONNECT = { firstMs: 500, longestMs: 2_000 } satisfies RetryPolicy;

/** The client library connects again by itself, for ever, after a pause between these. */
export const NATS_RECONNECT_MS = { shortest: 250, longest: 2_000 };

/** A publish of the sidecar that failed; a stream without a leader has one again within seconds. */
export const SIDECAR_PUBLISH = { firstMs: 200, longestMs: 10_000 } satisfies Backoff;
