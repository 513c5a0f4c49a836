import type { CoreApiPod } from '@edge-migration/replay-sidecar/capture/coverage/decide.ts';
import { z } from 'zod';
import type { KubernetesObject } from '../kubernetes/client.ts';
import { GROUP, LABELS } from './api.ts';
import type { JobFact, PodProblem } from './facts.ts';

/** An object of ours, as the caches hold it: what it belongs to, and what it says. */
export interface Owned<T> {
  /** `<namespace>/<name>` of the EdgeMigration. */
  migration: string;
  migrationUid: string;
  operation: string;
  name: string;
  uid: string;
  /** Uid of the root ConfigMap that owns it, if any. */
  rootUid: string | undefined;
  fact: T;
}

const metadataSchema = z.object({
  name: z.string(),
  uid: z.string(),
  labels: z.record(z.string(), z.string()).default({}),
  annotations: z.record(z.string(), z.string()).default({}),
  ownerReferences: z.array(z.object({ kind: z.string(), uid: z.string() })).default([]),
});

function own<T>({ metadata }: KubernetesObject, read: (metadata: z.infer<typeof metadataSchema>) => T): Owned<T> {
  const parsed = metadataSchema.parse(metadata);
  const { name, uid, labels, annotations, ownerReferences } = parsed;
  return {
    migration: annotations[LABELS.migration] ?? '',
    migrationUid: labels[LABELS.migrationUid] ?? '',
    operation: labels[LABELS.component] ?? '',
    name,
    uid,
    rootUid: ownerReferences.find(({ kind }) => kind === 'ConfigMap')?.uid,
    fact: read(parsed),
  };
}

const conditionsSchema = z
  .array(
    z.object({
      type: z.string(),
      status: z.string(),
      reason: z.string().optional(),
      message: z.string().optional(),
      lastTransitionTime: z.string().optional(),
    }),
  )
  .default([]);

const jobSchema = z.object({
  spec: z.object({
    suspend: z.boolean().default(false),
    parallelism: z.number().default(1),
    ttlSecondsAfterFinished: z.number().optional(),
  }),
  status: z
    .object({
      completedIndexes: z.string().default(''),
      failedIndexes: z.string().default(''),
      conditions: conditionsSchema,
    })
    .prefault({}),
});

/** Reads a Job of ours. */
export function parseJob(object: KubernetesObject): Owned<JobFact> {
  const { spec, status } = jobSchema.parse(object);
  const ended = status.conditions.find(
    ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
  );
  return own(object, ({ name, uid, annotations }) => ({
    name,
    uid,
    attempt: Number(annotations[`${GROUP}/attempt`] ?? 1),
    rangeIds: parseList(annotations[`${GROUP}/ranges`] ?? ''),
    suspended: spec.suspend,
    parallelism: spec.parallelism,
    outcome: ended === undefined ? 'active' : ended.type === 'Complete' ? 'complete' : 'failed',
    endedTime: ended?.lastTransitionTime === undefined ? undefined : Date.parse(ended.lastTransitionTime),
    completedIndexes: parseIndexes(status.completedIndexes),
    failedIndexes: parseIndexes(status.failedIndexes),
    failure: ended?.type === 'Failed' ? `${ended.reason}: ${ended.message}` : undefined,
    ttlSeconds: spec.ttlSecondsAfterFinished,
  }));
}

const parseList = (text: string) => (text === '' ? [] : text.split(',').map(Number));

/** The Job API's compressed form: `0-2,5`. */
export function parseIndexes(text: string): number[] {
  if (text === '') return [];
  return text.split(',').flatMap((part) => {
    const [from = 0, to = from] = part.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, offset) => from + offset);
  });
}

const containerSchema = z.object({
  name: z.string(),
  state: z
    .object({
      waiting: z.object({ reason: z.string().optional(), message: z.string().optional() }).optional(),
      terminated: z
        .object({
          exitCode: z.number(),
          reason: z.string().optional(),
          message: z.string().optional(),
          // Null when the kubelet lost sight of the container (ContainerStatusUnknown).
          finishedAt: z.string().nullish(),
        })
        .optional(),
    })
    .prefault({}),
});

const podSchema = z.object({
  metadata: z.object({ creationTimestamp: z.string() }),
  status: z
    .object({
      phase: z.string().optional(),
      startTime: z.string().optional(),
      reason: z.string().optional(),
      message: z.string().optional(),
      conditions: conditionsSchema,
      containerStatuses: z.array(containerSchema).default([]),
    })
    .prefault({}),
});

/** What is wrong with a pod of ours, if anything, and since when. */
export interface PodFact {
  problem: PodProblem | undefined;
  time: number;
}

/** Waiting reasons of a pod that is merely starting. */
const STARTING = new Set(['ContainerCreating', 'PodInitializing']);

/** Reads a pod of ours. A worker's last words are in its termination message. */
export function parsePod(object: KubernetesObject): Owned<PodFact> {
  const { metadata, status } = podSchema.parse(object);
  return own(object, ({ name }) => {
    const created = Date.parse(metadata.creationTimestamp);
    const unschedulable = status.conditions.find(({ type, status }) => type === 'PodScheduled' && status === 'False');
    if (unschedulable !== undefined)
      return { time: created, problem: describe('PodUnschedulable', unschedulable.message) };
    for (const { state } of status.containerStatuses) {
      const { waiting, terminated } = state;
      if (waiting?.reason !== undefined && !STARTING.has(waiting.reason)) {
        return {
          time: created,
          problem: describe('PodNotStarting', `${waiting.reason} ${waiting.message ?? ''}`.trim()),
        };
      }
      if (terminated !== undefined && terminated.exitCode !== 0) {
        const text =
          terminated.message ?? `${terminated.reason ?? 'Error'}, exit code ${terminated.exitCode}; see its log`;
        return {
          time: Date.parse(terminated.finishedAt ?? metadata.creationTimestamp),
          problem: describe('PodFailed', text),
        };
      }
    }
    if (status.phase === 'Failed')
      return { time: created, problem: describe('PodFailed', status.message ?? status.reason) };
    return { time: created, problem: undefined };

    function describe(reason: string, message = 'no message'): PodProblem {
      return { pod: name, reason, message };
    }
  });
}

/** The root ConfigMap, a range's checkpoint, the record of a status or a report for people, by what it holds. */
export type ConfigMapFact =
  | { kind: 'root'; plan: string | undefined; settings: string | undefined }
  | { kind: 'checkpoint'; checkpoint: string }
  | { kind: 'record'; record: string };

/** Reads a ConfigMap of ours; its JSON texts are parsed by whoever knows their schema. */
export function parseConfigMap(object: KubernetesObject): Owned<ConfigMapFact> {
  const { data } = z.object({ data: z.record(z.string(), z.string()).default({}) }).parse(object);
  const { checkpoint, plan, settings, record } = data;
  return own(object, () => {
    if (record !== undefined) return { kind: 'record', record };
    return checkpoint === undefined ? { kind: 'root', plan, settings } : { kind: 'checkpoint', checkpoint };
  });
}

const planSchema = z.object({
  plannedTime: z.iso.datetime(),
  ranges: z.array(z.object({ rangeId: z.number(), identities: z.number() })),
});

export type Plan = z.infer<typeof planSchema>;

export const liveSettingsSchema = z.object({
  pageSize: z.number(),
  maxWriteUnitsPerSecond: z.number(),
  onConflict: z.enum(['KeepEdge', 'CoreWins']),
});

/** The plan in the root; undefined while there is none, or when someone has damaged it: it is then made anew. */
export const parsePlan = (text: string | undefined) => parseJson(text, planSchema);

export const parseLiveSettings = (text: string | undefined) => parseJson(text, liveSettingsSchema);

/** Undefined when there is no text or it is not what the schema says. */
export function parseJson<T>(text: string | undefined, schema: z.ZodType<T>): T | undefined {
  if (text === undefined) return undefined;
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** A pod of the Core API: whether it takes requests, and since when. */
export function parseCoreApiPod(object: KubernetesObject): CoreApiPod {
  const { metadata, status } = podSchema.parse(object);
  const { name, uid } = metadataSchema.parse(object.metadata);
  const ready = status.conditions.find(({ type }) => type === 'Ready');
  const isReady = ready?.status === 'True';
  // A node that is lost says nothing any more, and its pods may run on. Before and after these phases nothing serves.
  const isRunning = isReady || status.phase === 'Running' || status.phase === 'Unknown';
  return {
    uid,
    name,
    ready: isReady,
    ...(isReady && ready.lastTransitionTime !== undefined ? { readyTime: ready.lastTransitionTime } : {}),
    ...(isRunning ? { runningTime: status.startTime ?? metadata.creationTimestamp } : {}),
  };
}
