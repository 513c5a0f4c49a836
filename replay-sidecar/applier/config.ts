import { apiTimeoutSeconds } from '@edge-migration/contract/api-timeout.ts';
import { streamSettings } from '@edge-migration/contract/streams/events.ts';
import { coreSettings, edgeSettings } from '@edge-migration/identity/configuration.ts';
import { LATE_WRITE_SECONDS } from '@edge-migration/identity/edge/late-write.ts';
import { logSettings } from '@edge-migration/runtime/configuration.ts';
import { natsSettings } from '@edge-migration/runtime/nats/connection.ts';
import { z } from 'zod';

const count = (fallback: number, most: number) => z.coerce.number().int().min(1).max(most).default(fallback);

const applierSettings = z.object({
  ...logSettings,
  ...coreSettings,
  ...edgeSettings,
  ...natsSettings,
  streamReplicas: streamSettings.streamReplicas,
  /** Name of this replica; the pod's name. */
  instance: z
    .string()
    .regex(/^[A-Za-z0-9_-](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_-])?$/, 'must be letters, digits, -, _ and . only'),
  /** Namespaces whose EdgeMigrations count, separated by commas; all when unset. Same as for the operator. */
  watchNamespaces: z
    .string()
    .transform((text) => text.split(',').map((name) => name.trim()))
    .optional(),
  /** Identities made to agree at the same time; their reads and writes are batched. */
  concurrency: count(128, 1024),
  /** The most of these for one project, so that one project's trouble leaves room for the others. */
  projectConcurrency: count(96, 1024),
  /** Most connections to Core; Core's API needs them more than the applier does. */
  maxDatabaseConnections: count(6, 64),
  /** DynamoDB write units a second of this replica, for all projects together. */
  maxWriteUnitsPerSecond: count(4000, 400_000),
  /** An event that no process has spoken for during this time is delivered again. */
  ackWaitSeconds: z.coerce.number().min(2).max(600).default(30),
  /** After this time no write of a process that was killed, or that gave it up, can still be carried out. */
  lateWriteSeconds: z.coerce.number().min(1).max(3600).default(LATE_WRITE_SECONDS),
  /** Longest request of the Core API: a write without an answer, or that concerns many, is handled again after it. */
  apiTimeoutSeconds,
  /** Edge's region is reported as unreachable after this long without an answer. */
  edgeUnreachableSeconds: z.coerce.number().min(1).max(86_400).default(120),
  /** Most events in flight. */
  window: count(8192, 1_000_000),
  /** Most bytes for the parked events of all projects. */
  parkedMaxBytes: z.coerce
    .number()
    .int()
    .positive()
    .default(8 * 1024 ** 3),
  /** Most bytes for events whose project is unknown; the rest is a gap of every project. */
  unresolvedMaxBytes: z.coerce
    .number()
    .int()
    .positive()
    .default(64 * 1024 ** 2),
  /** Most bytes for events of one project that Edge cannot hold; the rest is a gap of the project. */
  unstorableMaxBytes: z.coerce
    .number()
    .int()
    .positive()
    .default(256 * 1024 ** 2),
  /** Interval for retrying to store what Edge could not hold. */
  unstorableRetrySeconds: z.coerce.number().min(1).max(86_400).default(60),
  /** Interval for resolving again the events that are unreadable or whose project is unknown. */
  unknownRetrySeconds: z.coerce.number().min(1).max(86_400).default(600),
  /** Address of /metrics, /livez and /readyz. */
  metricsHost: z.string().default('0.0.0.0'),
  metricsPort: z.coerce.number().int().min(0).max(65_535).default(9465),
});

/** Settings of the edge applier; field `ackWaitSeconds` is variable `EDGE_MIGRATION_ACK_WAIT_SECONDS`. */
export const applierConfiguration = applierSettings.superRefine((settings, context) => {
  const { failoverAfterSeconds, dynamodbOtherRegions = [], dynamodbRegion } = settings;
  if (failoverAfterSeconds === 0 || dynamodbOtherRegions.some((region) => region !== dynamodbRegion)) return;
  const message = 'must name another region than the home region: failover is on';
  context.addIssue({ code: 'custom', path: ['dynamodbOtherRegions'], message });
});

export type ApplierConfiguration = z.output<typeof applierConfiguration>;
