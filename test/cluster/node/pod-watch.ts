import { z } from 'zod';
import type { ApiClient } from '../api-client.ts';
import { sleepUnless } from '../signals.ts';
import { Pod } from './pod-spec.ts';

export interface PodHandlers {
  /** Added, changed, or simply listed again. */
  onPod(pod: Pod): void;
  onGone(uid: string): void;
  /** After each complete list. */
  onListed(): void;
}

const PODS = '/api/v1/pods';
const WATCH_SECONDS = 300;
const RETRY_MS = 250;

const PodList = z.object({ metadata: z.object({ resourceVersion: z.string() }), items: z.array(Pod) });

/** Follows all pods until the signal is aborted: list, watch, and list again whenever the watch ends for any reason. */
export async function watchPods(api: ApiClient, handlers: PodHandlers, signal: AbortSignal): Promise<void> {
  const known = new Set<string>();
  const see = (pod: Pod) => {
    known.add(pod.metadata.uid);
    handlers.onPod(pod);
  };
  const lose = (uid: string) => {
    if (known.delete(uid)) handlers.onGone(uid);
  };
  while (!signal.aborted) {
    try {
      const list = PodList.parse(await api.get(PODS, signal));
      const listed = new Set(list.items.map(({ metadata }) => metadata.uid));
      for (const uid of [...known].filter((each) => !listed.has(each))) lose(uid);
      list.items.forEach(see);
      handlers.onListed();
      const query = `watch=true&resourceVersion=${list.metadata.resourceVersion}&timeoutSeconds=${WATCH_SECONDS}`;
      for await (const { type, object } of api.watch(`${PODS}?${query}`, signal)) {
        if (type === 'ERROR') break;
        const pod = Pod.parse(object);
        if (type === 'DELETED') lose(pod.metadata.uid);
        else see(pod);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof z.ZodError) throw error;
      await sleepUnless(signal, RETRY_MS);
    }
  }
}
