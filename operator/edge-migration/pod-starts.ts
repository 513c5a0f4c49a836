import type { CoreApiPod } from '../coverage/decide.ts';

/** Corrects since when pods of the Core API run, by when this process first saw them running. */
export interface PodStarts {
  /** @param now by the clock of NATS, epoch milliseconds */
  correct(pods: readonly CoreApiPod[], now: number): CoreApiPod[];
}

/**
 * Kubernetes reports since when a pod runs by its node's clock, or its own. Where that is ahead of the clock of NATS, a
 * gap would begin too late: a pod cannot have started after it was first seen running.
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
