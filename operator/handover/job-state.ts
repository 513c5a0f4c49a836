import { LABELS } from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesObject } from '@edge-migration/kubernetes/client.ts';
import type { ContainerEnd } from '@edge-migration/runtime/last-words.ts';
import { z } from 'zod';

const jobSchema = z.object({
  metadata: z.object({ annotations: z.record(z.string(), z.string()).default({}) }),
  status: z
    .object({
      conditions: z
        .array(
          z.object({
            type: z.string(),
            status: z.string(),
            message: z.string().default(''),
            lastTransitionTime: z.string(),
          }),
        )
        .default([]),
    })
    .prefault({}),
});
const podSchema = z.object({
  status: z
    .object({
      phase: z.string().optional(),
      containerStatuses: z
        .array(
          z.object({
            state: z.object({
              terminated: z
                .object({
                  message: z.string().optional(),
                  reason: z.string().optional(),
                  exitCode: z.number().optional(),
                })
                .optional(),
              waiting: z.object({ reason: z.string().default(''), message: z.string().default('') }).optional(),
            }),
          }),
        )
        .default([]),
    })
    .prefault({}),
});

/** The inputs of a Job: the EdgeMigration's generation, and the revision of the Core API's pods, if there were any. */
export interface Origin {
  readonly generation: string;
  readonly revision: string | undefined;
}

/** A Job that has ended. */
export interface EndedJob {
  /** Epoch milliseconds. */
  readonly time: number;
  /** The Job's own reason. */
  readonly message: string;
}

/** @returns undefined while the Job runs */
export function findJobEnd(job: KubernetesObject): EndedJob | undefined {
  const { conditions } = jobSchema.parse(job).status;
  const end = conditions.find(({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True');
  return end && { time: Date.parse(end.lastTransitionTime), message: end.message };
}

/** The origin of a Job of an older release is unknown. */
export function readOrigin({ metadata }: KubernetesObject): { attempt: number; origin: Origin | undefined } {
  const { annotations = {} } = metadata;
  const generation = annotations[LABELS.generation];
  const revision = annotations[LABELS.coreApiRevision];
  const attempt = Number(annotations[LABELS.attempt] ?? 1);
  return {
    attempt: Number.isInteger(attempt) && attempt > 0 ? attempt : 1,
    origin: generation === undefined || revision === undefined ? undefined : { generation, revision },
  };
}

/** How the first container that has ended did; undefined if all are running. */
export function findContainerEnd(pods: readonly KubernetesObject[]): ContainerEnd | undefined {
  return pods.map((pod) => containerOf(pod)?.state.terminated).find((end) => end !== undefined);
}

/** Why a pod does not start; undefined if nothing prevents it. */
export function findTrouble(pods: readonly KubernetesObject[]): string | undefined {
  return pods.map(describeWaiting).find((trouble) => trouble !== '');
}

function describeWaiting(pod: KubernetesObject): string {
  const { reason = '', message = '' } = containerOf(pod)?.state.waiting ?? {};
  const isStarting = reason === '' || reason === 'ContainerCreating' || reason === 'PodInitializing';
  return isStarting ? '' : `${reason} ${message}`.trim();
}

const containerOf = (pod: KubernetesObject) => podSchema.parse(pod).status.containerStatuses[0];
