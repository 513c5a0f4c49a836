import { z } from 'zod';
import { boundedText, count, listOf, reportName, smallCount, time } from './fields.ts';
import { gapStatusSchema, replayStatusSchema } from './replay-status.ts';
import { verificationStatusSchema, withAuthorities } from './verification-status.ts';

export type { GapStatus, ReplayStatus, StillOnCore } from './replay-status.ts';
export type { CurrentComparison, LastComparison, VerificationStatus } from './verification-status.ts';

const conditionSchema = z.object({
  type: boundedText(64),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string().meta({ minLength: 1, maxLength: 128, pattern: '^[A-Za-z][A-Za-z0-9]*$' }),
  message: boundedText(1024),
  observedGeneration: count.exactOptional(),
  lastTransitionTime: z.string().meta({ format: 'date-time' }),
});

const copyStatusSchema = z
  .object({
    dryRun: z.boolean().describe('The progress of a plan: nothing is written.'),
    startTime: time,
    completionTime: time,
    progressTime: time,
    attempt: smallCount.describe('Copy Jobs created so far.'),
    retryTime: time.describe('When failed ranges are retried.'),
    identitiesTotal: count.describe('Exact, counted when the copy was planned.'),
    identitiesRead: count,
    identitiesCopied: count.describe('Documents that this copy wrote.'),
    identitiesUnchanged: count.describe('Documents that Edge already had and that were kept.'),
    identitiesConflicting: count.describe('Documents that Edge already had and that differed from Core.'),
    identitiesPerSecond: smallCount,
    estimatedCompletionTime: time,
    documentBytes: count,
    writeUnits: count,
    throttledRequests: count,
    pages: count,
    rangesTotal: smallCount,
    rangesDone: smallCount,
    rangesFailed: smallCount,
    /** Absent until this has been shown. */
    overridesTable: boundedText(255).describe(
      'Table that has a row for every copied override, as shown by the copy or a later comparison.',
    ),
  })
  .partial();

// The API server stores no empty list of this kind.
const byReason = listOf(32, z.object({ reason: boundedText(64), count })).default([]);

const skippedStatusSchema = z
  .object({
    total: count,
    reportName: reportName
      .describe("ConfigMap, in the operator's namespace, that lists them (key skipped.jsonl).")
      .optional(),
    byReason,
  })
  .describe('Identities of Core that cannot be stored in Edge.');

const unstorableStatusSchema = z
  .object({
    total: count,
    reportName: reportName.describe("ConfigMap, in the operator's namespace, that lists them (key unstorable.jsonl)."),
    revision: boundedText(64).describe('Changes whenever the list changes.'),
    byReason,
  })
  .describe('Identities whose writes during replay Edge cannot hold, or only in part; the rest of them is replayed.');

const plannedWritesSchema = z.object({
  region: boundedText(64),
  table: boundedText(255),
  index: boundedText(255).describe('Absent for the table itself.').exactOptional(),
  writeUnits: count.describe('Replicated write units if outside the home region.'),
  costUSD: boundedText(32),
});

const planStatusSchema = z
  .object({
    completionTime: time,
    identitiesTotal: count,
    identitiesMigratable: count,
    existingEqual: count,
    existingDiffering: count.describe("Documents in Edge with this identity's django_id that differ from Core."),
    existingEdgeBorn: count.describe('Documents in Edge that were created there.'),
    existingReplaced: count.describe('Documents in Edge of an identity that Core has deleted and re-created.'),
    documentBytes: count,
    writeUnits: count.describe('In the home region, which copy.maxWriteUnitsPerSecond limits.'),
    durationSeconds: count.describe('At copy.maxWriteUnitsPerSecond.'),
    costUSD: boundedText(32).describe(
      'On-demand write units of all regions at the configured price, excluding the transfer between regions.',
    ),
    /** The indexes' units are in addition to the table's. */
    writes: listOf(256, plannedWritesSchema).describe(
      'Where the write units are billed, in every region that has a replica; transfer between regions is billed in addition.',
    ),
  })
  .partial()
  .describe('Result of mode Plan.');

const auditStatusSchema = z.object({
  reportName: reportName.describe("ConfigMap, in the operator's namespace, with the audit of the migration."),
  milestone: boundedText(64).describe('The latest milestone that the audit covers.'),
});

/** See replication-view.ts. */
const edgeStatusSchema = z
  .object({
    consistency: z
      .enum(['SingleRegion', 'Strong', 'Eventual', 'Unknown'])
      .describe(
        'Consistency between the regions of a global table; the weaker one of several tables. Unknown: the right ' +
          'dynamodb:DescribeGlobalTable is missing, without which a global table of version 2017.11.29 looks like a ' +
          'table of one region.',
      ),
    regions: listOf(64, boundedText(64)).describe("All regions, the operator's first.").default([]),
    legacyVersion: z.boolean().describe('A global table of version 2017.11.29.').exactOptional(),
    inactiveReplicas: listOf(64, boundedText(128))
      .describe('Replicas that are not ACTIVE, with their status. Nothing waits for them.')
      .exactOptional(),
  })
  .describe("Regions and consistency of Edge's tables.");

/** The status, which the operator writes. The definition in crds/ is generated from it, as from the spec. */
export const statusSchema = z
  .object({
    observedGeneration: count,
    phase: boundedText(32).describe('One word for people; programs read the conditions.'),
    message: boundedText(1024),
    progress: boundedText(64),
    observedRetry: boundedText(64),
    conditions: listOf(16, conditionSchema),
    copy: copyStatusSchema,
    skipped: skippedStatusSchema,
    unstorable: unstorableStatusSchema,
    plan: planStatusSchema,
    replay: replayStatusSchema,
    gaps: listOf(16, gapStatusSchema).describe(
      'Times in which writes to Core may have been missed since the copy started; oldest first, the oldest merged.',
    ),
    verification: verificationStatusSchema,
    audit: auditStatusSchema,
    edge: edgeStatusSchema,
  })
  .partial()
  .describe('Written only by the operator.');

export type Status = z.infer<typeof statusSchema>;
export type Condition = z.infer<typeof conditionSchema>;
export type CopyStatus = z.infer<typeof copyStatusSchema>;
export type SkippedStatus = z.infer<typeof skippedStatusSchema>;
export type UnstorableStatus = z.infer<typeof unstorableStatusSchema>;
export type PlannedWrites = z.infer<typeof plannedWritesSchema>;
export type PlanStatus = z.infer<typeof planStatusSchema>;
export type EdgeStatus = z.infer<typeof edgeStatusSchema>;

/** The readable parts of the status. A damaged part is rewritten and does not affect the others. */
export function parseStatus(status: unknown): Status {
  const parts = Object.entries(z.record(z.string(), z.unknown()).safeParse(withAuthorities(status)).data ?? {}).filter(
    ([name, part]) => statusSchema.safeParse({ [name]: part }).success,
  );
  return statusSchema.parse(Object.fromEntries(parts));
}
