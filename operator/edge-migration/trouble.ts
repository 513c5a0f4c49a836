import { JOB_EVENTS_POLL_MS } from '@edge-migration/runtime/policies.ts';
import { conditionTrue, type DecidedCondition } from './conditions.ts';
import type { JobFact, JobPodsFact, PodProblem } from './facts.ts';

/** A Job controller that is present creates pods, or reports why it cannot, within seconds. */
const MISSING_MS = 60_000;
/** Pods end within seconds of their worker; later ones do not end by themselves. */
const STRANDED_MS = 30_000;

/** What keeps the pods of a Job from working, causes before their effects; undefined when nothing is known to. */
export function findPodTrouble(
  { name }: JobFact,
  { podProblems, pods, now }: { podProblems: readonly PodProblem[]; pods: JobPodsFact | undefined; now: number },
): DecidedCondition<'True'> | undefined {
  const { missing } = pods ?? {};
  const count = missing && `Job ${name} has ${missing.running} of ${missing.wanted} pods`;
  if (missing?.refusal !== undefined) {
    const message = `${count}: ${missing.refusal}; pods are created as soon as they are no longer refused`;
    return conditionTrue('PodsRefused', message);
  }
  const [problem] = podProblems;
  if (problem !== undefined) return conditionTrue(problem.reason, `pod ${problem.pod}: ${problem.message}`);
  if (missing === undefined || missing.running > 0 || now - missing.since < MISSING_MS) return undefined;
  const why =
    missing.unread === undefined
      ? 'no event says why: is kube-controller-manager running?'
      : `its events cannot be read (${missing.unread}): apply the operator's rights of this release`;
  return conditionTrue('PodsMissing', `${count}, and ${why}`);
}

/** When to check again on pods that are not as they should be; undefined when all are well. */
export function nextPodCheckTime(pods: JobPodsFact | undefined, now: number): number | undefined {
  if (pods?.missing !== undefined) return now + JOB_EVENTS_POLL_MS;
  return pods?.stranded === undefined ? undefined : Math.max(now + 1_000, pods.stranded.since + STRANDED_MS);
}

/**
 * The containers, such as a service mesh's proxy, that alone keep a Job's pods from ending, and have had enough time to
 * end; undefined when there are none. The workers' results are in their checkpoints, so the Job can go.
 */
export function findStranded(pods: JobPodsFact | undefined, now: number): string | undefined {
  const { stranded } = pods ?? {};
  if (stranded === undefined || now - stranded.since < STRANDED_MS) return undefined;
  return stranded.containers.join(', ');
}

/** Reports a Job that is removed because its pods do not end, the remedy, and how a worker has failed before. */
export function describeStranded(
  { name }: JobFact,
  containers: string,
  podProblems: readonly PodProblem[],
): DecidedCondition<'True'> {
  const failed = podProblems.find(({ reason }) => reason === 'PodFailed');
  const how = failed === undefined ? 'have ended,' : `have ended, that of pod ${failed.pod} by: ${failed.message};`;
  return conditionTrue(
    'PodsNotEnding',
    `the workers of Job ${name} ${how} and it is removed because ${containers} keeps running: keep meshes from injecting into the workers' pods, or let them inject native sidecars`,
  );
}
