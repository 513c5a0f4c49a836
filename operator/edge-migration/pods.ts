import type { KubernetesObject } from '@edge-migration/kubernetes/client.ts';
import { describeEnd } from '@edge-migration/runtime/last-words.ts';
import { z } from 'zod';
import type { CoreApiPod } from '../coverage/decide.ts';
import type { PodProblem } from './facts.ts';
import { conditionsSchema, metadataSchema, type Owned, own } from './parse.ts';

/** Names a pod's worker among injected containers, wherever they stand. `kubectl logs` follows it, too. */
export const DEFAULT_CONTAINER = 'kubectl.kubernetes.io/default-container';

const containerSchema = z.object({
  name: z.string(),
  state: z
    .object({
      waiting: z.object({ reason: z.string().optional(), message: z.string().optional() }).optional(),
      running: z.looseObject({}).optional(),
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

type Container = z.infer<typeof containerSchema>;

const podSchema = z.object({
  metadata: z.object({ creationTimestamp: z.string(), deletionTimestamp: z.string().optional() }),
  spec: z
    .object({
      nodeName: z.string().optional(),
      containers: z
        .array(
          z.object({
            env: z
              .array(
                z.object({ name: z.string(), value: z.string().default(''), valueFrom: z.looseObject({}).nullish() }),
              )
              .default([]),
          }),
        )
        .default([]),
      initContainers: z.array(z.object({ name: z.string(), restartPolicy: z.string().optional() })).default([]),
    })
    .prefault({}),
  status: z
    .object({
      phase: z.string().optional(),
      startTime: z.string().optional(),
      reason: z.string().optional(),
      message: z.string().optional(),
      conditions: conditionsSchema,
      initContainerStatuses: z.array(containerSchema).default([]),
      containerStatuses: z.array(containerSchema).default([]),
    })
    .prefault({}),
});

type Pod = z.infer<typeof podSchema>;

/** The facts about a worker's pod that a decision may depend on. */
export interface PodFact {
  /** Its problem, if any. */
  problem: PodProblem | undefined;
  /** When the problem began; without one, when the pod was created. */
  time: number;
  /** Some of its containers have not ended. */
  live: boolean;
  /** Its worker has ended, successfully or not. */
  workerEnded: boolean;
  /** Running containers. */
  running: string[];
  /** When it should be gone, because it was deleted. */
  goneBy: number | undefined;
  /** The Job that owns it. */
  jobUid: string | undefined;
}

/** Waiting reasons of a pod that is merely starting. */
const STARTING = new Set(['ContainerCreating', 'PodInitializing']);

/** Reads one of our pods. A worker's last words are in its termination message. */
export function parsePod(object: KubernetesObject): Owned<PodFact> {
  const pod = podSchema.parse(object);
  const { metadata, status } = pod;
  const { phase, containerStatuses } = status;
  const worker = object.metadata.annotations?.[DEFAULT_CONTAINER];
  const isWorker = ({ name }: Container) => worker === undefined || name === worker;
  const workers = containerStatuses.filter(isWorker);
  return own(object, ({ name }) => {
    const { time = metadata.creationTimestamp, ...problem } = findProblem(pod) ?? {};
    return {
      problem: 'reason' in problem ? { pod: name, ...problem } : undefined,
      time: Date.parse(time),
      live: phase !== 'Succeeded' && phase !== 'Failed',
      workerEnded: workers.length > 0 && workers.every(({ state }) => state.terminated !== undefined),
      running: containerStatuses.filter(({ state }) => state.running !== undefined).map((container) => container.name),
      goneBy: metadata.deletionTimestamp === undefined ? undefined : Date.parse(metadata.deletionTimestamp),
      jobUid: object.metadata.ownerReferences?.find(({ kind }) => kind === 'Job')?.uid,
    };
  });
}

interface Found {
  reason: string;
  message: string;
  /** RFC 3339; the pod's time when left out. */
  time?: string;
}

function findProblem(pod: Pod): Found | undefined {
  const { spec, status } = pod;
  if (status.phase === 'Succeeded') return undefined;
  const unschedulable = status.conditions.find(({ type, status }) => type === 'PodScheduled' && status === 'False');
  if (unschedulable !== undefined) return describe('PodUnschedulable', unschedulable.message);
  const restarted = new Set(spec.initContainers.filter(({ restartPolicy }) => restartPolicy === 'Always').map(nameOf));
  const init = status.initContainerStatuses.filter(({ name }) => !restarted.has(name));
  const containers = [...init, ...status.containerStatuses].map(findContainerProblem);
  const sidecars = status.initContainerStatuses.filter(({ name }) => restarted.has(name)).map(findWaiting);
  const problem = [...containers, ...sidecars].find((found) => found !== undefined);
  if (problem !== undefined) return problem;
  if (status.phase === 'Failed') return describe('PodFailed', status.message ?? status.reason);
  return findLostNode(pod);
}

const nameOf = ({ name }: { name: string }) => name;

const findContainerProblem = (container: Container): Found | undefined =>
  findWaiting(container) ?? findFailure(container);

function findWaiting({ name, state: { waiting } }: Container): Found | undefined {
  if (waiting?.reason === undefined || STARTING.has(waiting.reason)) return undefined;
  return describe('PodNotStarting', `container ${name}: ${waiting.reason} ${waiting.message ?? ''}`.trim());
}

function findFailure({ state: { terminated } }: Container): Found | undefined {
  if (terminated === undefined || terminated.exitCode === 0) return undefined;
  const { finishedAt } = terminated;
  const found = describe('PodFailed', describeEnd(terminated));
  return typeof finishedAt === 'string' ? { ...found, time: finishedAt } : found;
}

/** The node controller marks the pods of a node that does not answer as not ready; no container reports it. */
function findLostNode({ spec: { nodeName }, status }: Pod): Found | undefined {
  const find = (name: string) => status.conditions.find(({ type }) => type === name);
  const ready = find('Ready');
  const isLost =
    ready?.status === 'False' &&
    ready.reason !== 'ReadinessGatesNotReady' &&
    find('ContainersReady')?.status === 'True' &&
    status.phase === 'Running';
  if (!isLost && status.phase !== 'Unknown') return undefined;
  const what = `node ${nodeName} does not answer; the pod is replaced when it is removed`;
  return { ...describe('NodeLost', what), ...(ready?.lastTransitionTime && { time: ready.lastTransitionTime }) };
}

const describe = (reason: string, message = 'no message'): Found => ({ reason, message });

/** A pod of the Core API: whether it serves requests, and since when. */
export function parseCoreApiPod(object: KubernetesObject): CoreApiPod {
  const { metadata, spec, status } = podSchema.parse(object);
  const { name, uid } = metadataSchema.parse(object.metadata);
  const ready = status.conditions.find(({ type }) => type === 'Ready');
  const isReady = ready?.status === 'True';
  // A lost node reports nothing any more, and its pods may run on. Before and after these phases nothing serves.
  const isRunning = isReady || status.phase === 'Running' || status.phase === 'Unknown';
  return {
    uid,
    name,
    ready: isReady,
    ...(isReady && ready.lastTransitionTime !== undefined ? { readyTime: ready.lastTransitionTime } : {}),
    ...(isRunning ? { runningTime: status.startTime ?? metadata.creationTimestamp } : {}),
    ...(knowsEdge(spec) ? { knowsEdge: true } : {}),
  };
}

/** A pod does not show what comes from whole ConfigMaps and Secrets (`envFrom`). */
const knowsEdge = ({ containers }: Pod['spec']): boolean =>
  containers.some(({ env }) =>
    env.some(({ name, value, valueFrom }) => name === 'EDGE_API_URL' && (value !== '' || valueFrom != null)),
  );
