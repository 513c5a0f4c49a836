import { z } from 'zod';

/** The custom resource, as declared in crds/edgemigrations.edge.flagsmith.com.yaml. */
export const GROUP = 'edge.flagsmith.com';
export const EDGE_MIGRATIONS = {
  group: GROUP,
  version: 'v1alpha1',
  plural: 'edgemigrations',
  kind: 'EdgeMigration',
  namespaced: true,
} as const;

/** Label and annotation keys of every object that belongs to a migration. */
export const LABELS = {
  managedBy: 'app.kubernetes.io/managed-by',
  projectId: `${GROUP}/project-id`,
  migrationUid: `${GROUP}/migration-uid`,
  component: `${GROUP}/component`,
  /** Annotation: `<namespace>/<name>` of the EdgeMigration; a label value may be too short for it. */
  migration: `${GROUP}/migration`,
} as const;

/** Field manager of everything the operator applies. */
export const FIELD_MANAGER = 'edge-migration-operator';

const verification = z.enum(['Never', 'Report', 'Repair']).default('Report');

/** Defaults repeat the CRD's, so that objects stored before a field existed read as if it had been there. */
export const specSchema = z.object({
  projectId: z.int().min(1).max(2147483647),
  mode: z.enum(['Migrate', 'Plan']).default('Migrate'),
  suspend: z.boolean().default(false),
  retry: z.string().max(64).optional(),
  copy: z
    .object({
      parallelism: z.int().min(1).max(64).default(4),
      pageSize: z.int().min(10).max(5000).default(1000),
      maxWriteUnitsPerSecond: z.int().min(10).max(400_000).default(4000),
      onConflict: z.enum(['KeepEdge', 'CoreWins']).default('KeepEdge'),
    })
    .prefault({}),
  replay: z
    .object({
      windowSeconds: z.int().min(0).max(31_536_000).default(2_419_200),
      maxWriteUnitsPerSecond: z.int().min(10).max(400_000).optional(),
    })
    .prefault({}),
  verify: z
    .object({
      afterCopy: verification,
      atDeadline: verification,
      maxReadUnitsPerSecond: z.int().min(10).max(400_000).default(4000),
      clearIdentifiers: z.boolean().default(false),
    })
    .prefault({}),
});

const time = z.iso.datetime({ offset: true });
const count = z.number().min(0);

export const conditionSchema = z.object({
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
  })
  .partial();

const skippedStatusSchema = z.object({
  total: count,
  reportName: z.string().optional(),
  // The API server stores no empty list of this kind.
  byReason: z.array(z.object({ reason: z.string(), count })).default([]),
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
  })
  .partial();

const gapStatusSchema = z.object({
  from: time,
  until: time.exactOptional(),
  reason: z.string(),
  podName: z.string().exactOptional(),
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
  .object({ missing: count, extra: count, differing: count, malformed: count, rows: count })
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
    plan: planStatusSchema,
    replay: replayStatusSchema,
    gaps: z.array(gapStatusSchema),
    verification: verificationStatusSchema,
    audit: auditStatusSchema,
  })
  .partial();

export type Spec = z.infer<typeof specSchema>;
export type Status = z.infer<typeof statusSchema>;
export type Condition = z.infer<typeof conditionSchema>;
export type CopyStatus = z.infer<typeof copyStatusSchema>;
export type SkippedStatus = z.infer<typeof skippedStatusSchema>;
export type GapStatus = z.infer<typeof gapStatusSchema>;
export type ReplayStatus = z.infer<typeof replayStatusSchema>;
export type PlanStatus = z.infer<typeof planStatusSchema>;
export type VerificationStatus = z.infer<typeof verificationStatusSchema>;
export type CurrentComparison = z.infer<typeof currentComparisonSchema>;
export type LastComparison = z.infer<typeof lastComparisonSchema>;
export type AuditStatus = z.infer<typeof auditStatusSchema>;

/** An EdgeMigration as the operator works with it. */
export interface EdgeMigration {
  namespace: string;
  name: string;
  uid: string;
  resourceVersion: string;
  generation: number;
  /** RFC 3339. */
  creationTime: string;
  deleting: boolean;
  /** `undefined` when the stored spec breaks the schema; `specProblem` then says how. */
  spec: Spec | undefined;
  specProblem: string | undefined;
  status: Status;
}

const metadataSchema = z.object({
  namespace: z.string(),
  name: z.string(),
  uid: z.string(),
  resourceVersion: z.string(),
  generation: z.number().default(1),
  creationTimestamp: z.string(),
  deletionTimestamp: z.string().optional(),
});

/**
 * Parses an EdgeMigration as the API server sent it. A wrong spec is a fact to report in the status, and a status
 * that we cannot read is one that we write anew; only an object without metadata is an error.
 */
export function parseEdgeMigration(object: unknown): EdgeMigration {
  const { metadata, spec, status } = z
    .object({ metadata: metadataSchema, spec: z.unknown().optional(), status: z.unknown().optional() })
    .parse(object);
  const parsed = specSchema.safeParse(spec);
  const problems = parsed.error?.issues.map((issue) => `spec.${issue.path.join('.')}: ${issue.message}`);
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    uid: metadata.uid,
    resourceVersion: metadata.resourceVersion,
    generation: metadata.generation,
    creationTime: metadata.creationTimestamp,
    deleting: metadata.deletionTimestamp !== undefined,
    spec: parsed.data,
    specProblem: problems?.join('; '),
    status: parseStatus(status),
  };
}

/** What of the status can be read. A part that somebody has damaged is written anew and does not take others with it. */
function parseStatus(status: unknown): Status {
  const parts = Object.entries(z.record(z.string(), z.unknown()).safeParse(status).data ?? {}).filter(
    ([name, part]) => statusSchema.safeParse({ [name]: part }).success,
  );
  return statusSchema.parse(Object.fromEntries(parts));
}

/** The project that an EdgeMigration is about: from its name, which the API server compares with the spec. */
export function projectOf({ name, spec }: Pick<EdgeMigration, 'name' | 'spec'>): number {
  return spec?.projectId ?? Number(/^project-(\d+)$/.exec(name)?.[1] ?? 0);
}

/** Names of a migration's objects; the uid keeps a re-created EdgeMigration apart from the one before. */
export function objectNames(migration: Pick<EdgeMigration, 'name' | 'uid'>, operation: Operation) {
  const base = `${migration.name}-${migration.uid.slice(0, 8)}`;
  const root = `${base}-${operation}`;
  return {
    root,
    ranges: `${root}-ranges`,
    checkpointPrefix: `${root}-range`,
    job: (attempt: number) => `${root}-${attempt}`,
    skippedReport: `${base}-skipped`,
    /** Of a comparison, where the operation is one. */
    verificationReport: `${root}-report`,
    audit: `${base}-audit`,
  };
}

/** `plan` reads and counts, `copy` writes; comparisons are numbered, because there may be several. */
export type Operation = 'plan' | 'copy' | `verify-${number}`;

export const isComparison = (operation: string) => operation.startsWith('verify-');
