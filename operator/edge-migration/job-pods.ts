import type { EdgeMigration, Operation } from '@edge-migration/contract/edge-migration/api.ts';
import { ApiError } from '@edge-migration/kubernetes/errors.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import type { JobFact, JobPodsFact } from './facts.ts';
import { findLatest } from './jobs.ts';
import { BY_MIGRATION, type Sources } from './sources.ts';

type PodSources = Pick<Sources, 'pods' | 'jobEvents' | 'missingTimes' | 'strandedTimes'>;

/** A Job and the operation of its pods. */
export interface JobUnderWay {
  operation: Operation;
  job: JobFact;
}

/** The kind of work whose Job is under way: a migration has one at most. */
export function findUnderWay(work: readonly { operation: Operation; jobs: readonly JobFact[] }[]) {
  return work
    .map(({ operation, jobs }) => ({ operation, job: findLatest(jobs) }))
    .find((each): each is JobUnderWay => each.job?.outcome === 'active');
}

/**
 * Problems with the pods of a Job as a whole: some are missing, or the present ones are kept alive only by containers
 * that are not ours. Throws nothing but the signal's reason.
 */
export async function observeJobPods(
  sources: PodSources,
  migration: EdgeMigration,
  underWay: JobUnderWay | undefined,
  signal: AbortSignal,
): Promise<JobPodsFact | undefined> {
  const { running = 0, wanted = 0 } = underWay?.job.deleting ? {} : (underWay?.job.pods ?? {});
  const stranded = underWay === undefined ? [] : findStranded(sources, migration, underWay.operation);
  const missingSince = sources.missingTimes.notice(migration, running < wanted);
  const strandedSince = sources.strandedTimes.notice(migration, stranded.length > 0);
  if (underWay === undefined) return undefined;
  return {
    missing:
      missingSince === undefined
        ? undefined
        : { running, wanted, since: missingSince, ...(await findRefusal(sources, underWay.job, signal)) },
    stranded: strandedSince === undefined ? undefined : { containers: stranded, since: strandedSince },
  };
}

async function findRefusal({ jobEvents }: PodSources, { uid }: JobFact, signal: AbortSignal) {
  try {
    return { refusal: await jobEvents.findRefusal(uid, signal) };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { refusal: undefined, unread: errorMessage(error) };
  }
}

/** Containers that keep pods with finished workers alive; none while a worker runs, or may start. */
function findStranded({ pods }: PodSources, { uid }: EdgeMigration, operation: Operation): string[] {
  const live = pods.byIndex(BY_MIGRATION, uid).filter((pod) => pod.operation === operation && pod.fact.live);
  if (!live.every(({ fact }) => fact.workerEnded)) return [];
  return live.flatMap(({ name, fact }) => fact.running.map((container) => `${container} of pod ${name}`));
}
