import type { Operation } from '@edge-migration/contract/edge-migration/api.ts';
import { doubled } from '@edge-migration/runtime/backoff.ts';
import { JOB_AGAIN } from '@edge-migration/runtime/policies.ts';
import type { Action } from './actions.ts';
import type { JobFact } from './facts.ts';

/** The pause before the next Job, after this one has failed. */
export const retryDelay = (attempt: number) => doubled(JOB_AGAIN, attempt - 1);

/** The Job of the last attempt. */
export const findLatest = (jobs: readonly JobFact[]): JobFact | undefined =>
  jobs.reduce<JobFact | undefined>((latest, job) => (latest && latest.attempt > job.attempt ? latest : job), undefined);

/** Adjusts a Job that is not as it should be. */
export function adjustJobAction(
  operation: Operation,
  { attempt, uid, ...job }: JobFact,
  { suspend, parallelism }: { suspend: boolean; parallelism: number },
): Action[] {
  const isSame = job.suspended === suspend && job.parallelism === parallelism;
  return isSame ? [] : [{ kind: 'adjustJob', operation, attempt, uid, suspend, parallelism }];
}

/** Removes a Job whose pods do not end by themselves; another one does the rest. */
export const removeJobAction = (operation: Operation, { attempt, uid }: JobFact): Action => ({
  kind: 'removeJob',
  operation,
  attempt,
  uid,
});

/** Stops running pods until the migration may go on. */
export const holdJobs = (operation: Operation, jobs: readonly JobFact[]): Action[] =>
  jobs
    .filter(({ outcome }) => outcome === 'active')
    .flatMap((job) => adjustJobAction(operation, job, { suspend: true, parallelism: job.parallelism }));

/** Whether parts of the work are still there that are removed once its outcome is in the status. */
export const hasLeftovers = ({ ranges, checkpoints, jobs }: Work): boolean =>
  ranges !== undefined || checkpoints.length > 0 || jobs.some(({ ttlSeconds }) => ttlSeconds === undefined);

interface Work {
  ranges: unknown;
  checkpoints: readonly unknown[];
  jobs: readonly JobFact[];
}
