import { GROUP, LABELS } from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesObject } from '@edge-migration/kubernetes/client.ts';
import { z } from 'zod';
import type { JobFact } from './facts.ts';

/** One of our objects as the caches hold it: its EdgeMigration and its content. */
export interface Owned<T> {
  /** `<namespace>/<name>` of the EdgeMigration. */
  migration: string;
  migrationUid: string;
  operation: string;
  name: string;
  uid: string;
  /**
   * Uids of the root ConfigMaps that own it, if any: an object taken over from an earlier root may name that, too,
   * until Kubernetes has removed the dangling reference.
   */
  rootUids: readonly string[];
  fact: T;
}

export const metadataSchema = z.object({
  name: z.string(),
  uid: z.string(),
  labels: z.record(z.string(), z.string()).default({}),
  annotations: z.record(z.string(), z.string()).default({}),
  ownerReferences: z.array(z.object({ kind: z.string(), uid: z.string() })).default([]),
});

/** Reads one of our objects. */
export function own<T>(
  { metadata }: KubernetesObject,
  read: (metadata: z.infer<typeof metadataSchema>) => T,
): Owned<T> {
  const parsed = metadataSchema.parse(metadata);
  const { name, uid, labels, annotations, ownerReferences } = parsed;
  return {
    migration: annotations[LABELS.migration] ?? '',
    migrationUid: labels[LABELS.migrationUid] ?? '',
    operation: labels[LABELS.component] ?? '',
    name,
    uid,
    rootUids: ownerReferences.filter(({ kind }) => kind === 'ConfigMap').map(({ uid }) => uid),
    fact: read(parsed),
  };
}

export const conditionsSchema = z
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
    completions: z.number().default(1),
    ttlSecondsAfterFinished: z.number().optional(),
  }),
  status: z
    .object({
      active: z.number().default(0),
      completedIndexes: z.string().default(''),
      failedIndexes: z.string().default(''),
      conditions: conditionsSchema,
    })
    .prefault({}),
});

/** Reads one of our Jobs. */
export function parseJob(object: KubernetesObject): Owned<JobFact> {
  const { spec, status } = jobSchema.parse(object);
  const completedIndexes = parseIndexes(status.completedIndexes);
  const failedIndexes = parseIndexes(status.failedIndexes);
  const left = spec.completions - completedIndexes.length - failedIndexes.length;
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
    completedIndexes,
    failedIndexes,
    deleting: object.metadata.deletionTimestamp !== undefined,
    pods: { running: status.active, wanted: spec.suspend ? 0 : Math.min(spec.parallelism, left) },
    failure: ended?.type === 'Failed' ? `${ended.reason}: ${ended.message}` : undefined,
    ttlSeconds: spec.ttlSecondsAfterFinished,
  }));
}

const parseList = (text: string) => (text === '' ? [] : text.split(',').map(Number));

/** The Job API's compressed form: `0-2,5`. */
function parseIndexes(text: string): number[] {
  if (text === '') return [];
  return text.split(',').flatMap((part) => {
    const [from = 0, to = from] = part.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, offset) => from + offset);
  });
}

/** The root ConfigMap, a range's checkpoint, the record of a status or a report for people, by content. */
export type ConfigMapFact =
  | { kind: 'root'; plan: string | undefined; settings: string | undefined }
  /** `savedTime`: when the API server accepted its last change, in whole seconds; epoch milliseconds. */
  | { kind: 'checkpoint'; checkpoint: string; savedTime: number | undefined }
  | { kind: 'record'; record: string };

/** Reads one of our ConfigMaps; its JSON texts are parsed where their schema is known. */
export function parseConfigMap(object: KubernetesObject): Owned<ConfigMapFact> {
  const { data } = z.object({ data: z.record(z.string(), z.string()).default({}) }).parse(object);
  const { checkpoint, plan, settings, record } = data;
  return own(object, () => {
    if (record !== undefined) return { kind: 'record', record };
    if (checkpoint === undefined) return { kind: 'root', plan, settings };
    return { kind: 'checkpoint', checkpoint, savedTime: findSavedTime(object) };
  });
}

const managedSchema = z.array(z.object({ time: z.iso.datetime().optional() })).catch([]);

function findSavedTime({ metadata }: KubernetesObject): number | undefined {
  const times = managedSchema.parse(metadata['managedFields'] ?? []).flatMap(({ time }) => time ?? []);
  return times.length === 0 ? undefined : Math.max(...times.map((time) => Date.parse(time)));
}

const planSchema = z.object({
  plannedTime: z.iso.datetime(),
  ranges: z.array(z.object({ rangeId: z.number(), identities: z.number() })),
});

export type Plan = z.infer<typeof planSchema>;

const liveSettingsSchema = z.object({
  pageSize: z.number(),
  maxWriteUnitsPerSecond: z.number(),
  onConflict: z.enum(['KeepEdge', 'CoreWins']),
});

/** The plan in the root; undefined while there is none, or when it was damaged: it is then created again. */
export const parsePlan = (text: string | undefined) => parseJsonText(text, planSchema);

export const parseLiveSettings = (text: string | undefined) => parseJsonText(text, liveSettingsSchema);

/** Undefined when there is no text or it does not match the schema. */
export function parseJsonText<T>(text: string | undefined, schema: z.ZodType<T>): T | undefined {
  if (text === undefined) return undefined;
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
