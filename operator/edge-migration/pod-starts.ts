import type { CoreApiPod } from '../coverage/decide.ts';

/** Corrects since when pods of the Core API run, by when this process first saw them run. */
export interface PodStarts {
  /** @param now by the clock of NATS, epoch milliseconds */
  correct(pods: readonly CoreApiPod[], now: number): CoreApiPod[];
}

/**
 * Kubernetes tells by the clock of the pod's node, or its own, since when a pod runs. Where that is ahead of the clock of
 * NATS, a gap would begin too late: no pod runs since a time after it was first seen to.
 */
export function createPodStarts(): PodStarts {
  let seen = new Map<string, number>();
  return {
    correct(pods, now) {
      const running = pods.filter(({ runningTime }) => runningTime !== undefined);
      seen = new Map(running.map(({ uid }) => [uid, Math.min(seen.get(uid) ?? now, now)]));
      return pods.map((pod) => notAfter(pod, now, seen.get(pod.uid) ?? now));
    },
  };
}

function notAfter({ readyTime, runningTime, ...pod }: CoreApiPod, now: number, seen: number): CoreApiPod {
  const earlier = (time: string, other: number) => (Date.parse(time) > other ? new Date(other).toISOString() : time);
  return {
    ...pod,
    ...(readyTime !== undefined && { readyTime: earlier(readyTime, now) }),
    ...(runningTime !== undefined && { runningTime: earlier(runningTime, seen) }),
  };
}
