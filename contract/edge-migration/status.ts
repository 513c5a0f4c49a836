import { z } from 'zod';

const time = z.iso.datetime({ offset: true });
const count = z.number().min(0);

const conditionSchema = z.object({
  type: z.string(),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string(),
  message: z.string(),
  observedGeneration: z.number().exactOptional(),
  lastTransitionTime: z.string(),
});

const copyStatusSchema = z
  .object({
    /** It is a plan's progress: nothing is written. */
    dryRun: z.boolean(),
    startTime: time,
    completionTime: time,
    progressTime: time,
    attempt: count,
    retryTime: time,
    identitiesTotal: count,
    identitiesRead: count,
    identitiesCopied: count,
    identitiesUnchanged: count,
    identitiesConflicting: count,
    identitiesPerSecond: count,
    estimatedCompletionTime: time,
    documentBytes: count,
    writeUnits: count,
    throttledRequests: count,
    pages: count,
    rangesTotal: count,
    rangesDone: count,
    rangesFailed: count,
    /** Has rows for every override that was copied; absent where nothing has shown that. */
    overridesTable: z.string(),
  })
  .partial();

const skippedStatusSchema = z.object({
  total: count,
  reportName: z.string().optional(),
  // The API server stores no empty list of this kind.
  byReason: z.array(z.object({ reason: z.string(), count })).default([]),
});

/** Identities that replay cannot follow as a whole; `revision` is another text whenever the list is another one. */
const unstorableStatusSchema = skippedStatusSchema.extend({ reportName: z.string(), revision: z.string() });

const plannedWritesSchema = z.object({
  region: z.string(),
  table: z.string(),
  index: z.string().exactOptional(),
  writeUnits: count,
  costUSD: z.string(),
});

const planStatusSchema = z
  .object({
    completionTime: time,
    identitiesTotal: count,
    identitiesMigratable: count,
    existingEqual: count,
    existingDiffering: count,
    existingEdgeBorn: count,
    existingReplaced: count,
    documentBytes: count,
    writeUnits: count,
    durationSeconds: count,
    costUSD: z.string(),
    /** Write units and their price by region, table and index; the indexes' units come on top of the table's. */
    writes: z.array(plannedWritesSchema),
  })
  .partial();

const gapStatusSchema = z.object({
  from: time,
  until: time.exactOptional(),
  reason: z.string(),
  podName: z.string().exactOptional(),
});

const perDay = { writesPerDay: count.exactOptional(), readsPerDay: count.exactOptional() };

/** Who still calls Core for the project's identities; what was not counted is left out, and never zero. */
const stillOnCoreSchema = z.object({
  state: z.enum(['Unknown', 'Writing', 'Reading', 'Quiet', 'Gone']),
  message: z.string(),
  countedSince: time.exactOptional(),
  countedUntil: time.exactOptional(),
  ...perDay,
  identities: count.exactOptional(),
  identitiesSince: z.iso.date().exactOptional(),
  lastWrite: time.exactOptional(),
  lastRead: time.exactOptional(),
  // The API server stores no empty lists of this kind.
  environments: z.array(z.object({ id: z.int(), ...perDay })).exactOptional(),
  clients: z.array(z.object({ name: z.string(), ...perDay })).exactOptional(),
  reportName: z.string().exactOptional(),
});

const replayStatusSchema = z
  .object({
    deadline: time,
    progressTime: time,
    lag: z.string(),
    lagSeconds: count,
    lastAppliedTime: time,
    eventsApplied: count,
    eventsUnchanged: count,
    eventsDropped: count,
    eventsParked: count,
    eventsUnresolved: count,
    stillOnCore: stillOnCoreSchema,
  })
  .partial();

const comparisonSchema = z.object({
  run: count,
  trigger: z.enum(['AfterCopy', 'AtDeadline', 'Requested', 'CoverageGap']),
  mode: z.enum(['Report', 'Repair']),
  /** By which rule the outcome is judged, and what a repair may do. */
  moment: z.enum(['AfterCopy', 'AtDeadline']),
  startTime: time,
});

const currentComparisonSchema = comparisonSchema.extend({
  attempt: count.optional(),
  retryTime: time.optional(),
  progress: z.string().optional(),
  progressTime: time.optional(),
  /** The token that asked for it. */
  token: z.string().optional(),
});

const findingCountsSchema = z
  .object({ missing: count, extra: count, differing: count, malformed: count, rows: count, regions: count })
  .partial();

/** Counts that are zero are left out. */
const lastComparisonSchema = comparisonSchema.extend({
  completionTime: time,
  reportName: z.string(),
  identitiesTotal: count,
  identitiesEqual: count.exactOptional(),
  identitiesDiffering: count.exactOptional(),
  identitiesMissing: count.exactOptional(),
  identitiesSkipped: count.exactOptional(),
  identitiesUnsettled: count.exactOptional(),
  documentsTotal: count,
  documentsMatched: count.exactOptional(),
  documentsExtra: count.exactOptional(),
  documentsEdgeBorn: count.exactOptional(),
  /** What is left after repair, by kind; kinds without any are left out. */
  findings: findingCountsSchema.exactOptional(),
  repaired: count.exactOptional(),
  coreChecksum: z.string(),
  edgeChecksum: z.string(),
});

const verificationStatusSchema = z
  .object({
    current: currentComparisonSchema,
    last: lastComparisonSchema,
    /** `status.copy.completionTime` of the copy that was compared. */
    copyTime: time,
    /** `status.replay.deadline` at which was compared. */
    deadline: time,
    /** The last `spec.retry` that asked for a comparison and got it. */
    token: z.string(),
    /** Whatever was written before this was compared. */
    coveredTime: time,
  })
  .partial();

/** Where Edge's tables are; see replication-view.ts. */
const edgeStatusSchema = z.object({
  /** Of both tables the weaker one. `Unknown`: in one region, unless it is a global table of the legacy version. */
  consistency: z.enum(['SingleRegion', 'Strong', 'Eventual', 'Unknown']),
  /** The home region first. */
  regions: z.array(z.string()).default([]),
  legacyVersion: z.boolean().exactOptional(),
  inactiveReplicas: z.array(z.string()).exactOptional(),
});

const auditStatusSchema = z.object({ reportName: z.string(), milestone: z.string() });

export const statusSchema = z
  .object({
    observedGeneration: z.number(),
    phase: z.string(),
    message: z.string(),
    progress: z.string(),
    observedRetry: z.string(),
    conditions: z.array(conditionSchema),
    copy: copyStatusSchema,
    skipped: skippedStatusSchema,
    unstorable: unstorableStatusSchema,
    plan: planStatusSchema,
    replay: replayStatusSchema,
    gaps: z.array(gapStatusSchema),
    verification: verificationStatusSchema,
    audit: auditStatusSchema,
    edge: edgeStatusSchema,
  })
  .partial();

export type Status = z.infer<typeof statusSchema>;
export type Condition = z.infer<typeof conditionSchema>;
export type CopyStatus = z.infer<typeof copyStatusSchema>;
export type SkippedStatus = z.infer<typeof skippedStatusSchema>;
export type UnstorableStatus = z.infer<typeof unstorableStatusSchema>;
export type GapStatus = z.infer<typeof gapStatusSchema>;
export type ReplayStatus = z.infer<typeof replayStatusSchema>;
export type StillOnCore = z.infer<typeof stillOnCoreSchema>;
export type PlannedWrites = z.infer<typeof plannedWritesSchema>;
export type PlanStatus = z.infer<typeof planStatusSchema>;
export type VerificationStatus = z.infer<typeof verificationStatusSchema>;
export type CurrentComparison = z.infer<typeof currentComparisonSchema>;
export type LastComparison = z.infer<typeof lastComparisonSchema>;
export type EdgeStatus = z.infer<typeof edgeStatusSchema>;
export type AuditStatus = z.infer<typeof auditStatusSchema>;

/** What of the status can be read. A part that somebody has damaged is written anew and does not take others with it. */
export function parseStatus(status: unknown): Status {
  const parts = Object.entries(z.record(z.string(), z.unknown()).safeParse(status).data ?? {}).filter(
    ([name, part]) => statusSchema.safeParse({ [name]: part }).success,
  );
  return statusSchema.parse(Object.fromEntries(parts));
}
