/** Helpers for the node's tests on pods. */
import { z } from 'zod';
import { type ApiClient, connectApi } from '../../api-client.ts';
import { type Cluster, startCluster } from '../../cluster.ts';
import { waitFor } from '../../wait.ts';

const Terminated = z.object({ exitCode: z.number(), reason: z.string(), message: z.string().optional() });
const ContainerStatus = z.object({
  name: z.string(),
  ready: z.boolean(),
  restartCount: z.number(),
  state: z.object({ terminated: Terminated.optional(), waiting: z.object({ reason: z.string() }).optional() }),
  lastState: z.object({ terminated: Terminated.optional() }),
});
const PodStatus = z.object({
  phase: z.string(),
  reason: z.string().optional(),
  message: z.string().optional(),
  podIP: z.string().optional(),
  conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
  containerStatuses: z.array(ContainerStatus).default([]),
  initContainerStatuses: z.array(ContainerStatus).default([]),
});
export type PodStatus = z.output<typeof PodStatus>;

export interface PodCluster extends AsyncDisposable {
  cluster: Cluster;
  apply(manifest: object): Promise<void>;
  createPod(name: string, spec: object, metadata?: object): Promise<void>;
  podStatus(name: string): Promise<PodStatus>;
  /** The pod's status once it satisfies `condition`. */
  podThat(name: string, condition: (status: PodStatus) => boolean): Promise<PodStatus>;
  /** Deletes the pod and waits until it is gone. */
  deletePod(name: string): Promise<void>;
  logs(pod: string, container?: string): Promise<string>;
}

/** A cluster without services whose one image, `shell`, is a shell that runs its argument. */
export async function startPodCluster(): Promise<PodCluster> {
  const images = { shell: { entrypoint: ['/bin/sh', '-c'], env: { FROM_IMAGE: 'yes' } } };
  const cluster = await startCluster({ images, postgres: false, nats: false, dynamodb: false });
  const api: ApiClient = connectApi(cluster.kubeconfig);
  const apply = async (manifest: object) => {
    await cluster.kubectl(['apply', '-f', '-'], { input: JSON.stringify(manifest) });
  };
  const Pod = z.object({ status: PodStatus });
  const podStatus = async (name: string) => Pod.parse(await api.get(`/api/v1/namespaces/default/pods/${name}`)).status;
  return {
    cluster,
    apply,
    podStatus,
    createPod: (name, spec, metadata = {}) =>
      apply({ apiVersion: 'v1', kind: 'Pod', metadata: { name, ...metadata }, spec }),
    async podThat(name, condition) {
      const status = async () => {
        const now = await podStatus(name);
        return condition(now) && now;
      };
      return await waitFor(status, { for: `pod ${name}`, timeoutMs: 180_000 });
    },
    async deletePod(name) {
      await cluster.kubectl(['delete', 'pod', name, '--timeout=240s']);
    },
    logs: (pod, container = 'main') => cluster.node.logs('default', pod, container),
    async [Symbol.asyncDispose]() {
      await api.close();
      await cluster.stop();
    },
  };
}

/** A container that runs a script. */
export const shell = (script: string, more: object = {}) => ({ name: 'main', image: 'shell', args: [script], ...more });

export const sidecar = (name: string, script: string, more: object = {}) =>
  shell(script, { name, restartPolicy: 'Always', ...more });

export const hasPhase =
  (...phases: string[]) =>
  ({ phase }: PodStatus) =>
    phases.includes(phase);

export const hasEnded = hasPhase('Succeeded', 'Failed');

export const isReady = ({ conditions }: PodStatus) =>
  conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
