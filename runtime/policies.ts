import type { Backoff } from './backoff.ts';
import type { RetryPolicy } from './retry.ts';

/**
 * How often, how long and how fast the product retries, how long it waits for an answer, and how often it polls when it
 * gets no notification; all in one place, so that another policy is a change of this file alone. User settings are
 * documented in docs/configuration.md; where they are the same thing, these are their defaults.
 */

// Postgres; failures are retried by the caller, a worker or an applier.

/** Until a connection is established, including the wait for a free one. */
export const POSTGRES_CONNECT_MS = 10_000;

/** One statement: as long as the maximum age of a page of the copy. */
export const POSTGRES_STATEMENT_MS = 30_000;

// DynamoDB.

/** A call: throttling ends, or a partition moves, within seconds; longer failures are handled by the caller. */
export const DYNAMODB_CALL = { firstMs: 50, longestMs: 5_000, budgetMs: 20_000 } satisfies RetryPolicy;

/** One request; it has left all local queues before a write of it may count as late (`lateWriteSeconds`). */
export const DYNAMODB_REQUEST_MS = 10_000;

/** A read in another region: there are many, and one region must not delay reads in another one. */
export const OTHER_REGION_CALL = { ...DYNAMODB_CALL, budgetMs: 1_000 } satisfies RetryPolicy;

/** One request to another region. */
export const OTHER_REGION_REQUEST_MS = 3_000;

/** A region that did not answer is not asked again for this time: all pending reads would ask it thousands of times. */
export const OTHER_REGION_REST_MS = 5_000;

// The API server of Kubernetes.

/** A call. The caller waits for a longer Retry-After: it has a queue, whereas a waiting call occupies a worker. */
export const API_CALL = {
  ...{ firstMs: 100, longestMs: 5_000, attempts: 5 },
  longestRetryAfterMs: 10_000,
} satisfies RetryPolicy;

/** One attempt of a call; watches are limited by their silence instead. */
export const API_REQUEST_MS = 30_000;

/** A failed list or watch, as in client-go; pauses are random, up to these. */
export const LIST_WATCH = { firstMs: 800, longestMs: 30_000 } satisfies Backoff;

/** After a watch that lived this long the next failure counts as the first. */
export const LIST_WATCH_HEALTHY_MS = 30_000;

/** One reconcile: the sum of the limits of all its calls. */
export const RECONCILE_MS = 300_000;

/** A key whose reconcile failed; for one key, and over all keys; client-go's defaults (`workqueue.DefaultTypedControllerRateLimiter`). */
export const WORK_QUEUE = { firstMs: 5, longestMs: 1_000_000 } satisfies Backoff;
export const WORK_QUEUE_RATE = { perSecond: 10, burst: 100 };

/** An EdgeMigration: a corrected external cause is noticed within a minute, however long it lasted. */
export const RECONCILE_AGAIN = { ...WORK_QUEUE, longestMs: 60_000 } satisfies Backoff;

/** A Kubernetes event, which is worth less than the condition that it reports. */
export const EVENT_RECORD = { firstMs: 500, longestMs: 30_000, attempts: 5 } satisfies RetryPolicy;

/**
 * Leader election, client-go's defaults. Candidates wait for the retry period plus a random time of up to `jitter`
 * times as much, so that they do not compete for a free lease.
 */
export const LEASE = { durationMs: 15_000, renewMs: 10_000, retryMs: 2_000, jitter: 1.2 };

// Convergence.

/** Attempts on one identity that others write to at the same time; each is a few reads, and one soon succeeds. */
export const CONTENTION = { firstMs: 20, longestMs: 500, attempts: 30 } satisfies RetryPolicy;

/** A requested change of an EdgeMigration that its operator also writes to; a user or a program waits for it. */
export const EDIT = { firstMs: 50, longestMs: 1_000, attempts: 8 } satisfies RetryPolicy;

/**
 * The same for an event of Flagsmith's dashboard, which is sent again automatically, and is answered within four
 * seconds.
 */
export const REQUEST = { firstMs: 50, longestMs: 1_000, attempts: 5 } satisfies RetryPolicy;

// Workers of Jobs.

/** Pods of one range in one Job; Kubernetes chooses the pauses. */
export const RANGE_PODS = { attempts: 7 };

/** The next Job after a failed one, without limit. */
export const JOB_AGAIN = { firstMs: 15_000, longestMs: 10 * 60_000 } satisfies Backoff;

/** The next hand-over after a failed one, without limit; each is a pod of the Core API's image. */
export const HANDOVER_AGAIN = { firstMs: 10 * 60_000, longestMs: 60 * 60_000 } satisfies Backoff;

/** One step of a worker; the total time is a setting (`RETRY_BUDGET_SECONDS`), after which the Job retries. */
export const WORKER_CALL = { firstMs: 200, longestMs: 10_000 } satisfies RetryPolicy;

// Appliers.

/** An event while a store is unavailable: without limit, since the event is not the cause. */
export const STORE_OUTAGE = { firstMs: 100, longestMs: 10_000 } satisfies RetryPolicy;

/** An event that is itself the cause of failures, until it is parked as poison. */
export const EVENT = { firstMs: 100, longestMs: 10_000, attempts: 5 } satisfies RetryPolicy;

/** The streams at the start of an applier, without limit: the operator may not have created them yet. */
export const STREAMS_READY = { firstMs: 1_000, longestMs: 2_000 } satisfies RetryPolicy;

/** An event that cannot be processed now: its derived events cannot be published, or too much is in flight. */
export const HAND_AGAIN_MS = 2_000;

/** An event that cannot be parked stays in the stream, and is delivered again after this time. */
export const PARK_AGAIN_MS = 10_000;

/** A failed fetch of events; the consumer is looked up again. */
export const FETCH_AGAIN_MS = 1_000;

// The sidecar; a request never waits for longer than its proxy's limits.

/** A connection that the API refuses: gunicorn is starting, or being reloaded, for a moment. */
export const UPSTREAM_AGAIN_MS = 50;

/** A failed disk is retried after this time; writes until then are a gap. */
export const SPOOL_AGAIN_MS = 1_000;

// NATS.

/** The first connection, without limit; spread, so that a restarted server does not get all clients at once. */
export const NATS_CONNECT = { firstMs: 500, longestMs: 2_000 } satisfies RetryPolicy;

/** Two missed answers are a dead connection: a half-open one is noticed within 30 seconds. */
export const NATS_PING_MS = 10_000;

/** The client library reconnects by itself, forever, after a pause between these. */
export const NATS_RECONNECT_MS = { shortest: 250, longest: 2_000 };

/** A failed publish of the sidecar; a stream without a leader has one again within seconds. */
export const SIDECAR_PUBLISH = { firstMs: 200, longestMs: 10_000 } satisfies Backoff;

// Polls of the operator, for facts that no watch reports; each is as old as a decision based on it may be.

/** The streams and the reports in them: status, deadline and `Capturing` follow them within seconds. */
export const STREAM_POLL_MS = 2_000;

/**
 * The known state of the streams is recorded. Messages stored after the last record are still in the sidecars' spools
 * for longer than that.
 */
export const STREAM_RECORD_MS = 10_000;

/** Offset between the clocks of Core's Postgres and ours, which drift slowly; comparisons wait for the first value. */
export const CORE_CLOCK_POLL_MS = { known: 30_000, unknown: 2_000 };

/** The tables' regions: people add replicas; no copy continues until the regions are known. */
export const REGIONS_POLL_MS = { known: 60_000, unknown: 5_000 };

/** Core or Edge, while it prevents a migration from continuing. */
export const STORES_RECHECK_MS = 15_000;

/** Coverage, while a migration waits for it: a sidecar's first proof arrives within seconds. */
export const COVERAGE_RECHECK_MS = 2_000;

/** The numbers of a window, which change all the time: the status is updated at most this often. */
export const REPLAY_STATUS_MS = 10_000;

/** The rest of a window, while only events from before the deadline are outstanding. */
export const DRAIN_POLL_MS = 5_000;

/** The Events of a Job without pods: they show why pods are refused. */
export const JOB_EVENTS_POLL_MS = 5_000;

/** A hand-over: an ended Job has no news, a missing one is created only by us, and an overdue one may run forever. */
export const HANDOVER_POLL_MS = { running: 1_000, absent: 1_000, overdue: 10_000, ended: 30_000 };

/** The Core API's pods, by all failed hand-overs together. */
export const API_PODS_POLL_MS = 30_000;

/** A project's marks in Edge (a decision may be made many times a second), or the pods, which must be listed first. */
export const MARKS_POLL_MS = { listed: 30_000, unlisted: 1_000 };

/** The reports of an installation's processes are in memory: a change is recorded soon. */
export const INSTALLATION_POLL_MS = 5_000;

/** It is written at least this often, to show that it is up to date; failing stores are checked as often. */
export const INSTALLATION_REPORT_MS = 60_000;

/** Stores that were healthy, or no worse than before: each check opens a new connection to Core's Postgres. */
export const STORES_CHECK_MS = 5 * 60_000;

// Polls of workers.

/** The settings that people change while a Job runs, and whether its migration still exists. */
export const WORK_SETTINGS_POLL_MS = 5_000;

/** Whether replay has reached the point that a comparison waits for; it is in memory. */
export const REPLAY_WAIT_POLL_MS = 500;

// Polls of appliers.

/** Whether there is room to fetch more: events wait for it, and it is all in memory. */
export const ROOM_POLL_MS = 5;

/** Whether an event needs a confirmed view of the EdgeMigrations. */
export const HELD_BACK_POLL_MS = 20;

/** Whether work held up by a project's rate may continue. */
export const APPLY_QUEUE_POLL_MS = 20;

/** The age of the view of the EdgeMigrations: it is refreshed long before it becomes useless. */
export const VIEW_POLL_MS = 250;

/** Parked events; while events return as there is room for them, it is freed within moments. */
export const PARKING_POLL_MS = { idle: 2_000, busy: 100 };

/** Messages below the floor of the consumer, which are rare and which nothing waits for. */
export const ORPHANED_POLL_MS = 5_000;

/** An applier's report, which shows the operator within seconds that it is alive. */
export const APPLIER_REPORT_MS = 2_000;

/** Another release of Flagsmith, or another region of Edge, may be installed at any time during weeks of replay. */
export const STORES_POLL_MS = 60_000;

/** The home region, and the written one: seconds of silence decide about leaving it. */
export const FAILOVER_POLL_MS = 1_000;

// Polls of the sidecar.

/** Time-outs of requests: thousands of them share this one timer, and nearly none expires. */
export const DEADLINES_TICK_MS = 25;

/** Late acknowledgements, and work left by a broken connection. */
export const PUBLISHER_TICK_MS = 200;

/** Old segments, old requests, and memory. */
export const SIDECAR_TICK_MS = 1_000;

/** Whether everything is sent, during shutdown, which has only seconds. */
export const SIDECAR_DRAIN_POLL_MS = 20;

/** Delay until the beginning or end of a gap is reported. */
export const GAP_POLL_MS = 1_000;

// Polls of servers and programs.

/** Delay until a renewed certificate is used. */
export const CERTIFICATE_POLL_MS = 60_000;

/** However often a project changes, a stream of events reports it once per this time. */
export const EVENT_STREAM_PAUSE_MS = 1_000;

/** Heartbeat of a quiet stream of events; a page considers one dead that is silent for 40 seconds. */
export const EVENT_STREAM_HEARTBEAT_MS = 15_000;

/** `watch` of the command line: people wait for it, a script's log is read later. */
export const WATCH_POLL_MS = { terminal: 2_000, elsewhere: 10_000 };

/** The Job of `doctor --probe`, which takes seconds. */
export const PROBE_POLL_MS = 1_000;
