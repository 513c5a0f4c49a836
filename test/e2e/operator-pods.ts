import type { KubernetesClient, KubernetesObject } from '@edge-migration/kubernetes/client.ts';
import { CONFIG_MAPS, PODS } from '@edge-migration/kubernetes/resources.ts';
import { NO_TOTALS } from '@edge-migration/operator/copy/checkpoint.ts';
import { copyWorkSchema } from '@edge-migration/operator/job/work.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { NAMESPACE } from './operator-world.ts';

/** Plays the copy pods without doing their work: on a control plane without a node, in no time. */
export interface PodRunner extends AsyncDisposable {
  /** Pods that are created while this is true stay Pending. */
  hold(on: boolean): void;
  /** While this names a container, pods do not end with their worker, as with an injected container that runs on. */
  inject(container: string | undefined): void;
  stop(): Promise<void>;
}

interface PodSpec {
  containers: { name: string; env: { name: string; value?: string }[] }[];
}

const INDEX = 'batch.kubernetes.io/job-completion-index';
const EVERY_MS = 100;
const logger = createLogger('pod-runner', 'warn');

/** For each pod of a plan or copy: writes a worker's final checkpoint, and lets the pod succeed. */
export function startPodRunner(client: KubernetesClient): PodRunner {
  const ending = new AbortController();
  const { signal } = ending;
  let isHeld = false;
  let injected: string | undefined;

  async function step() {
    const labelSelector = 'edge.flagsmith.com/component in (plan,copy)';
    const fieldSelector = 'status.phase=Pending';
    const { items } = await client.list(PODS, { namespace: NAMESPACE, labelSelector, fieldSelector }, { signal });
    for (const pod of items) {
      if (isHeld || pod.metadata.deletionTimestamp !== undefined) continue;
      // Its root may just be gone, as with a real pod.
      await finish(client, pod, injected, signal).catch((error: unknown) =>
        logger.debug({ error: errorMessage(error) }, 'pod'),
      );
    }
  }

  async function run() {
    while (!signal.aborted) {
      await step().catch((error: unknown) => logger.debug({ error: errorMessage(error) }, 'pods'));
      await systemClock.sleep(EVERY_MS, signal).catch(() => {}); // stopped
    }
  }

  const running = run();
  const stop = async () => {
    ending.abort(new Error('stopped'));
    await running;
  };
  return {
    hold(on) {
      isHeld = on;
    },
    inject(container) {
      injected = container;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function finish(
  client: KubernetesClient,
  pod: KubernetesObject,
  injected: string | undefined,
  signal: AbortSignal,
) {
  const [container] = (pod['spec'] as PodSpec).containers;
  const document = container?.env.find(({ name }) => name === 'EDGE_MIGRATION_WORK')?.value ?? '';
  const { rangeIds, settingsName, checkpointName } = copyWorkSchema.parse(JSON.parse(document));
  const rangeId = rangeIds[Number(pod.metadata.annotations?.[INDEX])] ?? -1;
  const root = await client.get(CONFIG_MAPS, { namespace: NAMESPACE, name: settingsName }, { signal });
  if (root === undefined) return;
  const checkpoint = describeCheckpoint(root, `${checkpointName}-${rangeId}`, rangeId);
  await client.apply(CONFIG_MAPS, checkpoint, { fieldManager: 'copy-worker', force: true, signal });
  const state = { terminated: { exitCode: 0, reason: 'Completed' } };
  const ended = { name: container?.name, ready: false, restartCount: 0, image: '', imageID: '', state };
  const proxy = { ...ended, name: injected, state: { running: { startedAt: pod.metadata.creationTimestamp } } };
  const status =
    injected === undefined
      ? { phase: 'Succeeded', containerStatuses: [ended] }
      : { phase: 'Running', containerStatuses: [proxy, ended] };
  const reference = { namespace: NAMESPACE, name: pod.metadata.name };
  await client.patch(PODS, reference, { status }, { subresource: 'status', signal });
}

/** The checkpoint of a range of two identities, one of which could not be stored. */
function describeCheckpoint({ metadata }: KubernetesObject, name: string, rangeId: number): KubernetesObject {
  const { uid = '', labels = {}, annotations = {} } = metadata;
  const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: metadata.name, uid }];
  const counts = { ...NO_TOTALS.counts, pages: 1, read: 2, inserted: 1, skipped: 1, writeUnits: 1 };
  const totals = { ...NO_TOTALS, counts, skippedByReason: { TooLarge: 1 }, skippedLines: 1 };
  const checkpoint = {
    rangeId,
    positions: [{ segment: 0, identity: null, totals }],
    finished: true,
    updatedTime: new Date(systemClock.now()).toISOString(),
    instance: 'pod-runner',
    identitiesPerSecond: 0,
  };
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: NAMESPACE, labels, annotations, ownerReferences },
    data: {
      checkpoint: JSON.stringify(checkpoint),
      'skipped.jsonl': `${JSON.stringify({ id: rangeId, reason: 'TooLarge' })}\n`,
    },
  };
}
