import type { Operation, Spec } from '@edge-migration/contract/edge-migration/api.ts';
import type { Action } from './actions.ts';
import type { DecidedCondition } from './conditions.ts';
import type { Facts, JobFact, RangeWorkFacts } from './facts.ts';
import { adjustJobAction, findLatest, hasLeftovers, removeJobAction, retryDelay } from './jobs.ts';
import { describeStranded, findPodTrouble, findStranded, whenToLook } from './trouble.ts';

type Work<Settings = unknown> = RangeWorkFacts<{ readonly rangeId: number; readonly finished: boolean }, Settings>;

/** What is different from one kind of work on ranges to another: a plan, a copy, a comparison, a repair. */
export interface WorkKind<Settings extends object> {
  readonly operation: Operation;
  /** What exists of it. */
  readonly work: Work<Settings>;
  /** What the status has of it: the last attempt that was seen, and when what is left is tried again. */
  readonly known: { readonly attempt?: number | undefined; readonly retryTime?: string | undefined };
  /** What each of so many pods is to follow, which share the limits. */
  readonly chooseSettings: (pods: number) => Settings;
  readonly writeSettings: (settings: Settings) => Action;
  /** What is done each time before pods are started. */
  readonly beforeStart: readonly Action[];
  /** What its pods are told once and for all, where that is not in the spec. */
  readonly comparison?: Extract<Action, { kind: 'createJob' }>['comparison'];
  /** Once every range is done: until when something may still be written that the checkpoints do not tell of. */
  readonly settledTime: number;
  /** What failed is to be tried again now, whatever the pause. */
  readonly isRetryAsked: boolean;
  /** The pause after a Job whose pods have all ended well; as after one that failed when left out. */
  readonly pauseAfterSuccess?: number;
}

/** Where the work is. */
export type Stage =
  /** Suspended before the ranges were planned. */
  | { readonly kind: 'unplanned' }
  | { readonly kind: 'planning' }
  /** Pods work on ranges, or may. */
  | { readonly kind: 'running'; readonly job: JobFact }
  /** Ranges are left, no pods work on them, and none may. */
  | { readonly kind: 'stopped' }
  /** Ranges are left that have failed; they are tried again at this time. */
  | { readonly kind: 'waiting'; readonly until: number }
  | { readonly kind: 'starting' }
  /** Every range is done, but something may still be written until this time. */
  | { readonly kind: 'settling'; readonly until: number }
  | { readonly kind: 'complete' };

export interface WorkProgress {
  readonly stage: Stage;
  readonly done: ReadonlySet<number>;
  /** Ids of the ranges that are left. */
  readonly remaining: readonly number[];
  /** The latest one. */
  readonly job: JobFact | undefined;
  readonly actions: Action[];
  /** When what is left is tried again, in milliseconds since the epoch: to be kept in the status. */
  readonly retryTime?: number;
  /** What keeps pods from working. */
  readonly degraded?: DecidedCondition<'True'> | undefined;
  /** When to look again at pods that are not as they should be. */
  readonly nextTime?: number | undefined;
}

type Situation = Pick<Facts, 'now' | 'jobPods'>;
type Choices = { readonly suspend: boolean; readonly copy: Pick<Spec['copy'], 'parallelism'> };

/**
 * The one decision from ranges to Jobs, checkpoints and further attempts: plan, start or adjust the pods, remove a Job
 * whose pods do not end, try again what failed. What the status says of it, and what follows in the end, is the kind's.
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

/** Lets go of what is no longer needed once the outcome is in the status. */
export const retire = (operation: Operation, work: Work): Action[] =>
  hasLeftovers(work) ? [{ kind: 'retireWork', operation }] : [];

/**
 * A range is done when its checkpoint says so: what was read and who was skipped is nowhere else. A worker saves that
 * before it ends well.
 */
const findDoneRanges = ({ checkpoints }: Pick<Work, 'checkpoints'>): Set<number> =>
  new Set(checkpoints.filter(({ finished }) => finished).map(({ rangeId }) => rangeId));

/**
 * Whether a pod has ended well whose checkpoint does not say that its range is done: it was removed or damaged since, or the
 * cache is behind.
 */
export function lacksCheckpoint({ jobs, checkpoints }: Pick<Work, 'jobs' | 'checkpoints'>): boolean {
  const done = findDoneRanges({ checkpoints });
  return jobs.some(({ completedIndexes, rangeIds }) =>
    completedIndexes.some((index) => !done.has(rangeIds[index] ?? -1)),
  );
}

/** Pods work: they are kept as the spec wants them; a Job whose workers have ended and whose pods have not is removed. */
function follow<Settings extends object>(
  { now, jobPods: pods }: Situation,
  spec: Choices,
  kind: WorkKind<Settings>,
  job: JobFact,
  remaining: readonly number[],
): Pick<WorkProgress, 'stage' | 'actions' | 'retryTime' | 'degraded' | 'nextTime'> {
  const { operation, work } = kind;
  const running = { stage: { kind: 'running', job } as const, nextTime: whenToLook(pods, now) };
  const stranded = spec.suspend ? undefined : findStranded(pods, now);
  if (stranded === undefined) {
    const wanted = { suspend: spec.suspend, parallelism: spec.copy.parallelism };
    const actions = [...tellPods(spec, kind, remaining), ...adjustJobAction(operation, job, wanted)];
    const trouble = findPodTrouble(job, { podProblems: work.podProblems, pods, now });
    return { ...running, actions, degraded: spec.suspend ? undefined : trouble };
  }
  const retryTime = parseTime(kind.known.retryTime) ?? now + retryDelay(job.attempt);
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

/** By the pods that can still run. */
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
 * When what is left is tried again. It counts from when that was seen, and is kept to: a Job's end is by another machine's
 * clock, and one that was removed because its pods did not end has none.
 */
function findRetryTime(
  { known: { attempt = 1, retryTime }, pauseAfterSuccess }: Pick<WorkKind<never>, 'known' | 'pauseAfterSuccess'>,
  job: JobFact | undefined,
  now: number,
): number {
  const afterFailure = retryDelay(job?.attempt ?? attempt);
  const pause = job?.outcome === 'complete' ? (pauseAfterSuccess ?? afterFailure) : afterFailure;
  const kept = parseTime(retryTime);
  if (kept !== undefined) return Math.min(kept, now + pause);
  return job === undefined ? now : now + pause;
}

const parseTime = (text: string | undefined) => (text === undefined ? undefined : Date.parse(text));
