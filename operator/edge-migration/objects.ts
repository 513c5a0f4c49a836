import {
  EDGE_MIGRATIONS,
  type EdgeMigration,
  GROUP,
  LABELS,
  type Operation,
  objectNames,
} from '@edge-migration/contract/edge-migration/api.ts';
import { RANGE_PODS } from '@edge-migration/runtime/policies.ts';
import { z } from 'zod';
import { type JobWork, writeWork } from '../job/work.ts';
import type { LiveSettings, PlannedRange } from './facts.ts';
import { DEFAULT_CONTAINER } from './pods.ts';

/**
 * The pod template that copy pods are made from: image, service account, environment with secret references, security
 * context, resources, node selection. It holds everything that the installation chooses; the operator adds only what a
 * single migration needs. Its first container is the worker.
 */
export const workerTemplateSchema = z.looseObject({
  metadata: z
    .looseObject({
      labels: z.record(z.string(), z.string()).optional(),
      annotations: z.record(z.string(), z.string()).optional(),
    })
    .optional(),
  spec: z.looseObject({
    containers: z
      .array(
        z.looseObject({
          name: z.string(),
          image: z.string(),
          command: z.array(z.string()).optional(),
          // Releases before 0.2 had the entry point here: such a template would start it with ours as its argument.
          args: z.array(z.string().regex(/(?<!\.ts)$/, 'must not name a program: the operator adds it')).optional(),
          env: z.array(z.looseObject({ name: z.string() })).optional(),
          volumeMounts: z.array(z.looseObject({ name: z.string(), mountPath: z.string() })).optional(),
        }),
      )
      .min(1),
    volumes: z.array(z.looseObject({ name: z.string() })).optional(),
  }),
});

export type WorkerTemplate = z.infer<typeof workerTemplateSchema>;

/**
 * Exit codes of a failed worker, for the Job's failure policy: `temporary` (EX_TEMPFAIL of sysexits.h) is worth another
 * pod, `misconfigured` fails for every range alike, and `rejected` would fail again for this range only. `stopped` is that of a
 * program that SIGTERM ends.
 */
export const WORKER_EXIT = { misconfigured: 64, rejected: 65, temporary: 75, stopped: 143 } as const;

const RANGES_DIRECTORY = '/var/run/edge-migration/ranges';

interface OperationScope {
  migration: EdgeMigration;
  operation: Operation;
  /** The operator's namespace: Jobs and their secrets stay in it wherever the EdgeMigration is. */
  namespace: string;
}

/** Labels and annotations by which a migration's objects are found again. */
function describe({ migration, operation }: OperationScope) {
  return {
    labels: {
      [LABELS.managedBy]: 'edge-migration',
      [LABELS.projectId]: String(migration.spec?.projectId),
      [LABELS.migrationUid]: migration.uid,
      [LABELS.component]: operation,
    },
    annotations: { [LABELS.migration]: `${migration.namespace}/${migration.name}` },
  };
}

/** Owner references do not cross namespaces; elsewhere the operator itself removes the leftovers. */
function ownedByMigration({ migration, namespace }: OperationScope) {
  if (migration.namespace !== namespace) return {};
  const { group, version, kind } = EDGE_MIGRATIONS;
  const owner = { apiVersion: `${group}/${version}`, kind, name: migration.name, uid: migration.uid, controller: true };
  return { ownerReferences: [owner] };
}

function ownedByRoot(root: RootReference) {
  return { ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: root.name, uid: root.uid }] };
}

export interface RootReference {
  name: string;
  uid: string;
}

/** The content of the root ConfigMap, each as JSON text. */
export interface RootContent {
  plan?: { plannedTime: string; ranges: PlannedRange[] };
  settings?: LiveSettings;
}

/**
 * The ConfigMap that owns all other objects of a plan or copy: removing it removes them, so a stop is one delete. It
 * holds the plan once that is complete, and the settings that running pods follow.
 */
export function buildRoot(place: OperationScope, { plan, settings }: RootContent) {
  const { name } = { name: objectNames(place.migration, place.operation).root };
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: place.namespace, ...describe(place), ...ownedByMigration(place) },
    data: {
      ...(plan === undefined ? {} : { plan: JSON.stringify(plan) }),
      ...(settings === undefined ? {} : { settings: JSON.stringify(settings) }),
    },
  };
}

/** The ranges' boundaries are identifiers, which are personal data: a Secret that only the pods mount. */
export function buildRanges(place: OperationScope, root: RootReference, ranges: ReadonlyMap<number | string, string>) {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: `${GROUP}/ranges`,
    metadata: {
      name: objectNames(place.migration, place.operation).ranges,
      namespace: place.namespace,
      ...describe(place),
      ...ownedByRoot(root),
    },
    stringData: Object.fromEntries([...ranges].map(([rangeId, text]) => [String(rangeId), text])),
  };
}

/** All skipped identities, one JSON object per line, as far as a ConfigMap can hold them. */
export function buildSkippedReport(place: OperationScope, data: Record<string, string>) {
  const { skippedReport: name } = objectNames(place.migration, place.operation);
  return buildReportConfigMap(place, { name, component: 'skipped-report', data });
}

/** A ConfigMap for people that outlives the work it reports on, and is removed with the EdgeMigration. */
export function buildReportConfigMap(
  place: OperationScope,
  { name, component, data }: { name: string; component: string; data: Record<string, string> },
) {
  const { labels, annotations } = describe(place);
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name,
      namespace: place.namespace,
      labels: { ...labels, [LABELS.component]: component },
      annotations,
      ...ownedByMigration(place),
    },
    data,
  };
}

export interface JobPlan extends OperationScope {
  root: RootReference;
  attempt: number;
  rangeIds: number[];
  parallelism: number;
  template: WorkerTemplate;
  /** The worker's program. */
  entryPoint: string;
  work: JobWork;
}

/**
 * The Indexed Job of one attempt. Per-index back-off retries a range by itself; the failure policy makes drains and
 * preemptions cost nothing (KEP-3329) and stops a Job whose configuration is wrong; replacements wait until the old pod
 * has ended (KEP-3939), so that two pods of one range run only after a node's failure.
 */
export function buildJob(plan: JobPlan) {
  const { migration, operation, attempt, rangeIds, parallelism, root, namespace } = plan;
  const names = objectNames(migration, operation);
  const { labels, annotations } = describe(plan);
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: names.job(attempt),
      namespace,
      labels,
      annotations: { ...annotations, [`${GROUP}/attempt`]: String(attempt), [`${GROUP}/ranges`]: rangeIds.join(',') },
      ...ownedByRoot(root),
    },
    spec: {
      completionMode: 'Indexed',
      completions: rangeIds.length,
      parallelism,
      suspend: false,
      backoffLimitPerIndex: RANGE_PODS.attempts - 1,
      podReplacementPolicy: 'Failed',
      podFailurePolicy: {
        rules: [
          { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
          { action: 'FailJob', onExitCodes: { operator: 'In', values: [WORKER_EXIT.misconfigured] } },
          { action: 'FailIndex', onExitCodes: { operator: 'In', values: [WORKER_EXIT.rejected] } },
        ],
      },
      template: buildPodTemplate(plan, labels, annotations),
    },
  };
}

function buildPodTemplate(plan: JobPlan, labels: Record<string, string>, annotations: Record<string, string>) {
  const { template, entryPoint, migration, operation } = plan;
  const [worker, ...others] = template.spec.containers;
  const { ranges } = objectNames(migration, operation);
  return {
    metadata: {
      ...template.metadata,
      labels: { ...template.metadata?.labels, ...labels },
      annotations: { ...template.metadata?.annotations, ...annotations, [DEFAULT_CONTAINER]: worker?.name },
    },
    spec: {
      terminationGracePeriodSeconds: 30,
      enableServiceLinks: false,
      ...template.spec,
      restartPolicy: 'Never',
      containers: [
        {
          ...worker,
          args: [...(worker?.args ?? []), entryPoint],
          env: [...(worker?.env ?? []), ...buildEnvironment(plan.work)],
          volumeMounts: [
            ...(worker?.volumeMounts ?? []),
            { name: 'ranges', mountPath: RANGES_DIRECTORY, readOnly: true },
          ],
        },
        ...others,
      ],
      volumes: [
        ...(template.spec.volumes ?? []),
        { name: 'ranges', secret: { secretName: ranges, defaultMode: 0o440 } },
      ],
    },
  };
}

function buildEnvironment(work: JobWork) {
  const index = "metadata.annotations['batch.kubernetes.io/job-completion-index']";
  return [
    { name: 'EDGE_MIGRATION_WORK', value: writeWork(work) },
    { name: 'EDGE_MIGRATION_RANGES_DIRECTORY', value: RANGES_DIRECTORY },
    { name: 'EDGE_MIGRATION_RANGE_INDEX', valueFrom: { fieldRef: { fieldPath: index } } },
  ];
}
