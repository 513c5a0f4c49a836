import { z } from 'zod';
import { regionName } from '../region-name.ts';
import { parseStatus, type Status } from './status.ts';

export type * from './status.ts';

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
  /** Annotations of a hand-over's Job: the number of earlier attempts, and a digest of its inputs. */
  attempt: `${GROUP}/attempt`,
  generation: `${GROUP}/generation`,
  coreApiRevision: `${GROUP}/core-api-revision`,
  /** Annotation: `<namespace>/<name>` of the EdgeMigration, which may be too long for a label value. */
  migration: `${GROUP}/migration`,
} as const;

/** Field manager of everything the operator applies. */
export const OPERATOR_FIELD_MANAGER = 'edge-migration-operator';

const verification = z.enum(['Never', 'Report', 'Repair']).default('Report');

const copySpecSchema = z.object({
  parallelism: z
    .int()
    .min(1)
    .max(64)
    .describe('Copy pods at the same time. May be changed while the copy runs.')
    .default(4),
  pageSize: z
    .int()
    .min(10)
    .max(5000)
    .describe('Identities read in one transaction. May be changed while the copy runs.')
    .default(1000),
  maxWriteUnitsPerSecond: z
    .int()
    .min(10)
    .max(400_000)
    .describe('DynamoDB write units a second of all copy pods together. May be changed while the copy runs.')
    .default(4000),
  onConflict: z
    .enum(['KeepEdge', 'CoreWins'])
    .describe(
      'What to do with a document that Edge already has and that differs. KeepEdge keeps it, and only adds missing traits ' +
        'if it was created on Edge; CoreWins sets every trait and override that Core has and keeps ' +
        "Edge's other ones.",
    )
    .default('KeepEdge'),
});

const replaySpecSchema = z.object({
  windowSeconds: z
    .int()
    .min(0)
    .max(31_536_000)
    .describe(
      "How long after the copy Core's writes are replayed into Edge (4 weeks by default). Changing it moves " +
        'status.replay.deadline.',
    )
    .default(2_419_200),
  maxWriteUnitsPerSecond: z
    .int()
    .min(10)
    .max(400_000)
    .describe(
      'DynamoDB write units a second, on average, that each applier spends on this project. If unset, only the ' +
        "appliers' own limit applies. May be changed at any time.",
    )
    .optional(),
});

const verifySpecSchema = z.object({
  afterCopy: verification.describe('Comparison of Core and Edge after the copy.'),
  atDeadline: verification.describe('Comparison of Core and Edge when the replay window has closed.'),
  maxReadUnitsPerSecond: z
    .int()
    .min(10)
    .max(400_000)
    .describe('DynamoDB read units a second of all verify pods together. May be changed while they run.')
    .default(4000),
  clearIdentifiers: z
    .boolean()
    .describe('Reports name identifiers, which are personal data, instead of their hashes.')
    .default(false),
  regions: z
    .array(regionName)
    .max(16)
    .describe(
      'Regions of global tables whose copies are compared with the home region, such as us-east-2. The home region is ' +
        'always compared with Core.',
    )
    .default([]),
});

/**
 * The spec: the user's settings. The definition in crds/ and docs/api-reference.md are generated from it (`node
 * scripts/crd.ts`); it also has the defaults, so that objects stored before a field existed read as if it had been set.
 */
export const specSchema = z.object({
  projectId: z
    .int()
    .min(1)
    .max(2147483647)
    .describe('Id of the project in Core. Must match the name, which must be project-<projectId>; cannot be changed.'),
  mode: z
    .enum(['Migrate', 'Plan'])
    .describe(
      'Migrate copies and replays. Plan writes nothing to Edge: it reports exact counts, sizes, write units, time, cost ' +
        'and what cannot be migrated. Plan may become Migrate, but not vice versa.',
    )
    .default('Migrate'),
  suspend: z.boolean().describe("Stops the copy's pods and pauses replay; events are kept, not lost.").default(false),
  // Becomes a token of a NATS subject.
  retry: z
    .string()
    .max(63)
    .regex(/^[A-Za-z0-9]([_-]*[A-Za-z0-9])*(\.[A-Za-z0-9]([_-]*[A-Za-z0-9])*)*$/)
    .describe(
      'Any new value retries failed work now; verify-… compares Core and Edge, repair-… also repairs differences; ' +
        'drop-… drops parked events that failed or whose project is unknown, and records a gap. ' +
        'Shown in status.observedRetry once taken.',
    )
    .optional(),
  copy: copySpecSchema.prefault({}),
  replay: replaySpecSchema.prefault({}),
  verify: verifySpecSchema.prefault({}),
});

export type Spec = z.infer<typeof specSchema>;

/** The operator's view of an EdgeMigration. */
export interface EdgeMigration {
  namespace: string;
  name: string;
  uid: string;
  resourceVersion: string;
  generation: number;
  /** RFC 3339. */
  creationTime: string;
  deleting: boolean;
  /** `undefined` if the stored spec violates the schema; `specProblem` then says how. */
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
 * Parses an EdgeMigration as the API server sent it. An invalid spec is a fact to report in the status, and an
 * unreadable status is rewritten; only an object without metadata is an error.
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

/** The project of an EdgeMigration: from its name, which the API server checks against the spec. */
export function projectOf({ name, spec }: Pick<EdgeMigration, 'name' | 'spec'>): number {
  return spec?.projectId ?? Number(/^project-(\d+)$/.exec(name)?.[1] ?? 0);
}

/** The name that a project's EdgeMigration must have. */
export const nameOf = (projectId: number) => `project-${projectId}`;

/** `namespace/project-42`. */
export const titleOf = ({ namespace, name }: Pick<EdgeMigration, 'namespace' | 'name'>) => `${namespace}/${name}`;

/** Names of a migration's objects; the uid distinguishes a re-created EdgeMigration from the one before. */
export function objectNames(migration: Pick<EdgeMigration, 'name' | 'uid'>, operation: Operation) {
  const base = `${migration.name}-${migration.uid.slice(0, 8)}`;
  const root = `${base}-${operation}`;
  return {
    root,
    ranges: `${root}-ranges`,
    checkpointPrefix: `${root}-range`,
    job: (attempt: number) => `${root}-${attempt}`,
    skippedReport: `${base}-skipped`,
    unstorableReport: `${base}-unstorable`,
    /** The comparison, if the operation is one. */
    verificationReport: `${root}-report`,
    audit: `${base}-audit`,
    record: `${base}-record`,
    stillOnCore: `${base}-still-on-core`,
  };
}

/** `plan` reads and counts, `copy` writes; comparisons are numbered, because there may be several. */
export type Operation = 'plan' | 'copy' | `verify-${number}`;

/** Whether a component's label names work on ranges. */
export const isOperation = (component: string): component is Operation => /^(plan|copy|verify-\d+)$/.test(component);
