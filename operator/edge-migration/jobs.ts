import type { Operation } from '@edge-migration/contract/edge-migration/api.ts';
import { doubled } from '@edge-migration/runtime/backoff.ts';
import { JOB_AGAIN } from '@edge-migration/runtime/policies.ts';
import type { Action } from './actions.ts';
import type { JobFact } from './facts.ts';

/** Until the next Job, after this one has failed. */
export const retryDelay = (attempt: number) => doubled(JOB_AGAIN, attempt - 1);

/** The Job of the last attempt. */
export const findLatest = (jobs: readonly JobFact[]): JobFact | undefined =>
  jobs.reduce<JobFact | undefined>((latest, job) => (latest && latest.attempt > job.attempt ? latest : job), undefined);

/** Makes a Job as it should be, if it is not so already. */
export function adjustJobAction(
  operation: Operation,
  { attempt, uid, ...job }: JobFact,
  { suspend, parallelism }: { suspend: boolean; parallelism: number },
): Action[] {
  const isSame = job.suspended === suspend && job.parallelism === parallelism;
  return isSame ? [] : [{ kind: 'adjustJob', operation, attempt, uid, suspend, parallelism }];
}

/** Lets go of a Job whose pods do not end by themselves; what is left to do is another one's. */
export const removeJobAction = (operation: Operation, { attempt, uid }: JobFact): Action => ({
  kind: 'removeJob',
  operation,
  attempt,
  uid,
});

/** Stops pods that run, until the migration may go on. */
export const holdJobs = (operation: Operation, jobs: readonly JobFact[]): Action[] =>
  jobs
    .filter(({ outcome }) => outcome === 'active')
    .flatMap((job) => adjustJobAction(operation, job, { suspend: true, parallelism: job.parallelism }));

/** Whether something of the work is still there that is let go of once its outcome is in the status. */
export const hasLeftovers = ({ ranges, checkpoints, jobs }: Work): boolean =>
  ranges !== undefined || checkpoints.length > 0 || jobs.some(({ ttlSeconds }) => ttlSeconds === undefined);

interface Work {
  ranges: unknown;
  checkpoints: readonly unknown[];
  jobs: readonly JobFact[];
}
