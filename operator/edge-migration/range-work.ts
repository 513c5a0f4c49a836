import type { Operation, Spec } from '@edge-migration/contract/edge-migration/api.ts';
import type { Action } from './actions.ts';
import type { DecidedCondition } from './conditions.ts';
import type { Facts, JobFact, RangeWorkFacts } from './facts.ts';
import { adjustJobAction, findLatest, hasLeftovers, removeJobAction, retryDelay } from './jobs.ts';
import { describeStranded, findPodTrouble, findStranded, nextPodCheckTime } from './trouble.ts';

type Work<Settings = unknown> = RangeWorkFacts<{ readonly rangeId: number; readonly finished: boolean }, Settings>;

/** The differences between the kinds of work on ranges: a plan, a copy, a comparison, a repair. */
export interface WorkKind<Settings extends object> {
  readonly operation: Operation;
  /** What exists of it in the cluster. */
  readonly work: Work<Settings>;
  /** Its part of the status: the last attempt that was seen, and when the rest is tried again. */
  readonly known: { readonly attempt?: number | undefined; readonly retryTime?: string | undefined };
  /** The settings for each of so many pods, which share the limits. */
  readonly chooseSettings: (pods: number) => Settings;
  readonly writeSettings: (settings: Settings) => Action;
  /** Carried out each time before pods are started. */
  readonly beforeStart: readonly Action[];
  /** Fixed settings of its pods, where they are not in the spec. */
  readonly comparison?: Extract<Action, { kind: 'createJob' }>['comparison'];
  /** Once every range is done: until when writes may still happen that the checkpoints do not show. */
  readonly settledTime: number;
  /** Failed ranges are to be tried again now, without the pause. */
  readonly isRetryAsked: boolean;
  /** The pause after a Job whose pods all succeeded; when left out, the same as after a failed one. */
  readonly pauseAfterSuccess?: number;
}

/** The stage of the work. */
export type Stage =
  /** Suspended before the ranges were planned. */
  | { readonly kind: 'unplanned' }
  | { readonly kind: 'planning' }
  /** Pods work on ranges, or may. */
  | { readonly kind: 'running'; readonly job: JobFact }
  /** Ranges are left, no pods work on them, and none may. */
  | { readonly kind: 'stopped' }
  /** Failed ranges are left; they are tried again at this time. */
  | { readonly kind: 'waiting'; readonly until: number }
  | { readonly kind: 'starting' }
  /** Every range is done, but late writes may still arrive until this time. */
  | { readonly kind: 'settling'; readonly until: number }
  | { readonly kind: 'complete' };

export interface WorkProgress {
  readonly stage: Stage;
  readonly done: ReadonlySet<number>;
  /** Ids of the remaining ranges. */
  readonly remaining: readonly number[];
  /** The latest one. */
  readonly job: JobFact | undefined;
  readonly actions: Action[];
  /** When the rest is tried again, in milliseconds since the epoch: kept in the status. */
  readonly retryTime?: number;
  /** What keeps pods from working. */
  readonly degraded?: DecidedCondition<'True'> | undefined;
  /** When to check again on pods that are not as they should be. */
  readonly nextTime?: number | undefined;
}

type Situation = Pick<Facts, 'now' | 'jobPods'>;
type Choices = { readonly suspend: boolean; readonly copy: Pick<Spec['copy'], 'parallelism'> };

/**
 * The one decision from ranges to Jobs, checkpoints and further attempts: plan, start or adjust the pods, remove a Job
 * whose pods do not end, retry what failed. The kind decides what the status says of it, and what follows in the end.
 */
export function decideRanges<Settings extends object>(
  facts: Situation,
  spec: Choices,
  kind: WorkKind<Settings>,
): WorkProgress {
  const { work, operation, settledTime } = kind;
  const done = findDoneRanges(work);
  const remaining = (work.ranges ?? []).map(({ rangeId }) => rangeId).filter((rangeId) => !done.has(rangeId));
  const job = findLatest(work.jobs);
  const base = { done, remaining, job, actions: [] };
  if (work.ranges === undefined) {
    if (spec.suspend) return { ...base, stage: { kind: 'unplanned' } };
    return { ...base, stage: { kind: 'planning' }, actions: [{ kind: 'planRanges', operation }] };
  }
  if (job?.outcome === 'active') return { ...base, ...follow(facts, spec, kind, job, remaining) };
  if (remaining.length === 0) {
    const isSettled = settledTime <= facts.now;
    return { ...base, stage: isSettled ? { kind: 'complete' } : { kind: 'settling', until: settledTime } };
  }
  if (spec.suspend) return { ...base, stage: { kind: 'stopped' } };
  const retryTime = findRetryTime(kind, job, facts.now);
  if (retryTime > facts.now && !kind.isRetryAsked) {
    return { ...base, stage: { kind: 'waiting', until: retryTime }, retryTime };
  }
  return { ...base, stage: { kind: 'starting' }, actions: start(spec, kind, job, remaining) };
}

/** Removes what is no longer needed once the outcome is in the status. */
export const retire = (operation: Operation, work: Work): Action[] =>
  hasLeftovers(work) ? [{ kind: 'retireWork', operation }] : [];

/**
 * A range is done when its checkpoint says so: only there is what was read and who was skipped. A worker saves it
 * before it ends successfully.
 */
const findDoneRanges = ({ checkpoints }: Pick<Work, 'checkpoints'>): Set<number> =>
  new Set(checkpoints.filter(({ finished }) => finished).map(({ rangeId }) => rangeId));

/**
 * Whether a pod succeeded whose checkpoint does not say that its range is done: it was removed or damaged since, or the
 * cache is stale.
 */
export function lacksCheckpoint({ jobs, checkpoints }: Pick<Work, 'jobs' | 'checkpoints'>): boolean {
  const done = findDoneRanges({ checkpoints });
  return jobs.some(({ completedIndexes, rangeIds }) =>
    completedIndexes.some((index) => !done.has(rangeIds[index] ?? -1)),
  );
}

/** Keeps working pods as the spec wants them; removes a Job whose workers have ended but whose pods have not. */
function follow<Settings extends object>(
  { now, jobPods: pods }: Situation,
  spec: Choices,
  kind: WorkKind<Settings>,
  job: JobFact,
  remaining: readonly number[],
): Pick<WorkProgress, 'stage' | 'actions' | 'retryTime' | 'degraded' | 'nextTime'> {
  const { operation, work } = kind;
  const running = { stage: { kind: 'running', job } as const, nextTime: nextPodCheckTime(pods, now) };
  const stranded = spec.suspend ? undefined : findStranded(pods, now);
  if (stranded === undefined) {
    const wanted = { suspend: spec.suspend, parallelism: spec.copy.parallelism };
    const actions = [...tellPods(spec, kind, remaining), ...adjustJobAction(operation, job, wanted)];
    const trouble = findPodTrouble(job, { podProblems: work.podProblems, pods, now });
    return { ...running, actions, degraded: spec.suspend ? undefined : trouble };
  }
  const retryTime = parseTimestamp(kind.known.retryTime) ?? now + retryDelay(job.attempt);
  return {
    ...running,
    ...(remaining.length > 0 && { retryTime }),
    degraded: describeStranded(job, stranded, work.podProblems),
    actions: job.deleting ? [] : [removeJobAction(operation, job)],
  };
}

/** The status has only attempts that were seen to exist: a start that did not happen is simply asked for again. */
function start<Settings extends object>(
  spec: Choices,
  kind: WorkKind<Settings>,
  job: JobFact | undefined,
  remaining: readonly number[],
): Action[] {
  const { operation, known, beforeStart, comparison } = kind;
  const attempt = Math.max(job?.attempt ?? 0, known.attempt ?? 0) + 1;
  const { parallelism } = spec.copy;
  return [
    ...beforeStart,
    ...tellPods(spec, kind, remaining),
    { kind: 'createJob', operation, attempt, rangeIds: [...remaining], parallelism, ...(comparison && { comparison }) },
  ];
}

/** Settings for the pods that can still run. */
function tellPods<Settings extends object>(
  { copy: { parallelism } }: Choices,
  { work: { liveSettings }, chooseSettings, writeSettings }: WorkKind<Settings>,
  remaining: readonly number[],
): Action[] {
  const settings = chooseSettings(Math.max(1, Math.min(parallelism, remaining.length)));
  const names = Object.keys(settings) as (keyof Settings)[];
  const isSame = names.every((name) => liveSettings?.[name] === settings[name]);
  return isSame ? [] : [writeSettings(settings)];
}

/**
 * When the rest is tried again. It counts from when that need was seen, and stays fixed: a Job's end is by another
 * machine's clock, and a Job removed because its pods did not end has none.
 */
function findRetryTime(
  { known: { attempt = 1, retryTime }, pauseAfterSuccess }: Pick<WorkKind<never>, 'known' | 'pauseAfterSuccess'>,
  job: JobFact | undefined,
  now: number,
): number {
  const afterFailure = retryDelay(job?.attempt ?? attempt);
  const pause = job?.outcome === 'complete' ? (pauseAfterSuccess ?? afterFailure) : afterFailure;
  const kept = parseTimestamp(retryTime);
  if (kept !== undefined) return Math.min(kept, now + pause);
  return job === undefined ? now : now + pause;
}

const parseTimestamp = (text: string | undefined) => (text === undefined ? undefined : Date.parse(text));
