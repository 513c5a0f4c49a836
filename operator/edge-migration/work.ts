import {
  type CopyStatus,
  type Operation,
  objectNames,
  type SkippedStatus,
  type Spec,
} from '@edge-migration/contract/edge-migration/api.ts';
import type { Action } from './actions.ts';
import { type Finding, type FindingOf, formatTime, isFalse, isTrue } from './conditions.ts';
import type { Facts, JobFact, LiveSettings, WorkFacts } from './facts.ts';
import { adjustJob, findLatest, removeJob, retryDelay } from './jobs.ts';
import { agreeOnTable } from './overrides.ts';
import { earliest, isTooSoon, measureProgress, PROGRESS_INTERVAL_MS, summariseSkipped } from './progress.ts';
import { describeStranded, findPodTrouble, findStranded, whenToLook } from './trouble.ts';

/** The state of the ranges' work, be it a plan's or a copy's, and what is to be done about it. */
export interface WorkDecision {
  /** For condition `Copied`. */
  finding: FindingOf<'Copied'>;
  degraded: Finding<'True'> | undefined;
  copy: CopyStatus;
  skipped: SkippedStatus | undefined;
  actions: Action[];
  /** Look again at this time even if nothing happens. */
  nextTime: number | undefined;
  complete: boolean;
}

/** Decides about the copy (or the plan) from the ranges, Jobs and checkpoints that exist. */
export function decideWork(facts: Facts, spec: Spec, operation: Operation): WorkDecision {
  const { work } = facts;
  if (work.ranges === undefined) return decidePlanning(facts, spec, operation);
  const done = findDoneRanges(work);
  const remaining = work.ranges.filter(({ rangeId }) => !done.has(rangeId)).map(({ rangeId }) => rangeId);
  const job = findLatest(work.jobs);
  const view = { facts, spec, operation, done, remaining, job };
  if (job?.outcome === 'active') return decideRunning(view, job);
  if (remaining.length === 0) return decideSettling(view);
  return decideStarting(view);
}

interface View {
  facts: Facts;
  spec: Spec;
  operation: Operation;
  done: ReadonlySet<number>;
  remaining: number[];
  job: JobFact | undefined;
}

function decidePlanning(facts: Facts, spec: Spec, operation: Operation): WorkDecision {
  const before = facts.migration.status;
  const base = { degraded: undefined, skipped: before.skipped, nextTime: undefined, complete: false };
  const copy = { ...before.copy };
  if (spec.suspend) return { ...base, finding: suspended('nothing is planned yet'), copy, actions: [] };
  return {
    ...base,
    finding: isFalse('Planning', 'the identities are counted and divided into ranges'),
    copy: {
      ...(operation === 'plan' ? { dryRun: true } : {}),
      ...copy,
      startTime: copy.startTime ?? formatTime(facts.now),
    },
    actions: [{ kind: 'planRanges', operation }],
  };
}

function decideRunning(view: View, job: JobFact): WorkDecision {
  const { facts, spec, operation } = view;
  const { copy, skipped, nextTime } = describeProgress(view);
  const { parallelism } = spec.copy;
  const actions = [...adjustSettings(view), ...adjustJob(operation, job, { suspend: spec.suspend, parallelism })];
  const progress = `${copy.identitiesRead ?? 0} of ${copy.identitiesTotal ?? 0} identities`;
  const finding = spec.suspend
    ? suspended(`stopped at ${progress}`)
    : isFalse('Copying', `${progress} done, ${copy.identitiesPerSecond ?? 0} a second`);
  const running = {
    finding,
    copy,
    skipped,
    actions,
    nextTime: earliest(nextTime, whenToLook(facts.jobPods, facts.now)),
  };
  if (spec.suspend) return { ...running, degraded: undefined, complete: false };
  const stranded = findStranded(facts.jobPods, facts.now);
  if (stranded === undefined) return { ...running, degraded: findTrouble(facts, job), complete: false };
  const { retryTime = formatTime(facts.now + retryDelay(job.attempt)) } = facts.migration.status.copy ?? {};
  return {
    ...running,
    copy: view.remaining.length === 0 ? copy : { ...copy, retryTime },
    degraded: describeStranded(job, stranded, facts.work.podProblems),
    actions: job.deleting ? [] : [removeJob(operation, job)],
    complete: false,
  };
}

/** Every range is done; a page that some pod still holds in its hand must be too old to be written. */
function decideSettling(view: View): WorkDecision {
  const { facts, operation } = view;
  const { now, work, settings } = facts;
  const copy = { ...measureProgress(facts, view.done), ...keptFrom(view), identitiesPerSecond: 0 };
  const skipped = summariseSkipped(work.checkpoints, objectNames(facts.migration, operation).skippedReport);
  const formerSettled = (work.formerSeen ?? Number.NEGATIVE_INFINITY) + settings.lateWriteMs;
  const settled = operation === 'plan' ? now : Math.max(findLastWork(view) + settings.pageMaxAgeMs, formerSettled);
  if (settled > now) {
    const message = `every range is done; complete at ${formatTime(settled + 999)}, when nothing that was read or sent before may still be written`;
    return {
      finding: isFalse('Settling', message),
      degraded: findLingering(work),
      copy,
      skipped,
      actions: [],
      nextTime: settled,
      complete: false,
    };
  }
  const actions: Action[] = skipped.total > 0 ? [{ kind: 'writeSkippedReport', operation }] : [];
  if (operation === 'copy') actions.push({ kind: 'markCompleted' });
  return {
    finding: describeCompletion(copy, skipped),
    degraded: undefined,
    copy: operation === 'copy' ? { ...copy, completionTime: formatTime(now), ...nameTable(facts) } : copy,
    skipped,
    actions,
    nextTime: undefined,
    complete: true,
  };
}

/** Ranges are left and no pods work on them: start them, or wait until it is time to try again. */
function decideStarting(view: View): WorkDecision {
  const { facts, spec, operation, remaining, job } = view;
  const { now, migration } = facts;
  const { copy, skipped } = describeProgress(view);
  const base = { skipped, complete: false };
  const failed = job === undefined ? {} : { rangesFailed: remaining.length };
  if (spec.suspend) {
    return {
      ...base,
      finding: suspended('no pods run'),
      degraded: undefined,
      copy: { ...copy, ...failed },
      actions: [],
      nextTime: undefined,
    };
  }
  const isNewRetry = spec.retry !== undefined && spec.retry !== migration.status.observedRetry;
  const retryTime = findRetryTime(view);
  if (retryTime > now && !isNewRetry) {
    const finding = isFalse('RangesFailed', describeFailure(view, job, retryTime));
    const status = { ...copy, ...failed, retryTime: formatTime(retryTime) };
    return {
      ...base,
      finding,
      degraded: isTrue(finding.reason, finding.message),
      copy: status,
      actions: [],
      nextTime: retryTime,
    };
  }
  // The status has only attempts that were seen to exist: a start that did not happen is simply asked for again.
  const attempt = Math.max(job?.attempt ?? 0, migration.status.copy?.attempt ?? 0) + 1;
  const { parallelism } = spec.copy;
  const start: Action = { kind: 'createJob', operation, attempt, rangeIds: remaining, parallelism };
  return {
    ...base,
    finding: isFalse('Copying', `pods for ${remaining.length} ranges are started`),
    degraded: undefined,
    copy,
    actions: [...(operation === 'copy' ? [{ kind: 'markStarted' } as const] : []), ...adjustSettings(view), start],
    nextTime: undefined,
  };
}

/**
 * When what is left is tried again. It counts from when that was seen, and is kept to: a Job's end is by another machine's
 * clock, and one that was removed because its pods did not end has none.
 */
function findRetryTime({ facts, job }: View): number {
  const { now, migration } = facts;
  const { retryTime, attempt = 1 } = migration.status.copy ?? {};
  const latest = now + retryDelay(job?.attempt ?? attempt);
  if (retryTime !== undefined) return Math.min(Date.parse(retryTime), latest);
  return job === undefined ? now : latest;
}

/** Numbers of a running copy, taken over from the status before when they moved a moment ago. */
function describeProgress(view: View): Pick<WorkDecision, 'copy' | 'skipped' | 'nextTime'> {
  const { facts, operation, done } = view;
  const { status } = facts.migration;
  const kept = keptFrom(view);
  if (status.copy !== undefined && isTooSoon(status, facts.now)) {
    const { retryTime: _, ...copy } = status.copy;
    const nextTime = Date.parse(status.copy.progressTime ?? '') + PROGRESS_INTERVAL_MS;
    return { copy: { ...copy, ...kept }, skipped: status.skipped, nextTime };
  }
  const measured = measureProgress(facts, done);
  const { progressTime: _, ...now } = measured;
  const { progressTime: __, ...before } = { ...status.copy };
  const isMoved = Object.entries(now).some(([key, value]) => before[key as keyof typeof before] !== value);
  return {
    copy: {
      ...measured,
      ...kept,
      ...(isMoved ? {} : { progressTime: status.copy?.progressTime ?? measured.progressTime }),
    },
    skipped: summariseSkipped(facts.work.checkpoints, objectNames(facts.migration, operation).skippedReport),
    nextTime: undefined,
  };
}

/** What the numbers of the checkpoints do not tell. */
function keptFrom({ facts, job, operation }: View): CopyStatus {
  const { copy } = facts.migration.status;
  // Whoever has planned may have died before it could say when.
  const { plannedTime = Date.parse(facts.migration.creationTime) } = facts.work;
  return {
    ...(operation === 'plan' ? { dryRun: true } : {}),
    startTime: copy?.startTime ?? formatTime(plannedTime),
    ...(job === undefined && copy?.attempt === undefined
      ? {}
      : { attempt: Math.max(job?.attempt ?? 0, copy?.attempt ?? 0) }),
    rangesFailed: job?.failedIndexes.length ?? 0,
  };
}

function adjustSettings({ facts, spec, operation, remaining }: View): Action[] {
  const { parallelism, pageSize, maxWriteUnitsPerSecond, onConflict } = spec.copy;
  const pods = Math.max(1, Math.min(parallelism, remaining.length));
  const settings: LiveSettings = {
    pageSize,
    maxWriteUnitsPerSecond: Math.max(1, Math.floor(maxWriteUnitsPerSecond / pods)),
    onConflict,
  };
  const live = facts.work.liveSettings;
  const isSame =
    live?.pageSize === settings.pageSize &&
    live.maxWriteUnitsPerSecond === settings.maxWriteUnitsPerSecond &&
    live.onConflict === settings.onConflict;
  return isSame ? [] : [{ kind: 'writeLiveSettings', operation, settings }];
}

/**
 * A range is done when its checkpoint says so: what was read and who was skipped is nowhere else. A worker saves that
 * before it ends well.
 */
const findDoneRanges = ({ checkpoints }: Pick<WorkFacts, 'checkpoints'>): Set<number> =>
  new Set(checkpoints.filter(({ finished }) => finished).map(({ rangeId }) => rangeId));

/**
 * Whether a pod has ended well whose checkpoint does not say that its range is done: it was removed or damaged since, or the
 * cache is behind.
 */
export function lacksCheckpoint({ jobs, checkpoints }: Pick<WorkFacts, 'jobs' | 'checkpoints'>): boolean {
  const done = findDoneRanges({ checkpoints });
  return jobs.some(({ completedIndexes, rangeIds }) =>
    completedIndexes.some((index) => !done.has(rangeIds[index] ?? -1)),
  );
}

/** When the last pod can have read a page. Without any pod nothing was read. */
function findLastWork({ facts }: View): number {
  const { ranges, idleSince } = facts.work;
  return ranges?.length === 0 ? Number.NEGATIVE_INFINITY : (idleSince ?? facts.now);
}

const nameTable = (facts: Facts): Pick<CopyStatus, 'overridesTable'> => {
  const overridesTable = agreeOnTable(facts, facts.work.checkpoints);
  return overridesTable === undefined ? {} : { overridesTable };
};

/** A pod that does not end may still write: nothing is complete before it has gone. */
function findLingering({ idleSince, podProblems }: WorkFacts): Finding<'True'> | undefined {
  const problem = idleSince === undefined ? podProblems.find(({ reason }) => reason === 'PodNotEnding') : undefined;
  return problem && isTrue(problem.reason, `pod ${problem.pod}: ${problem.message}`);
}

function findTrouble({ work, jobPods: pods, now }: Facts, job: JobFact): Finding<'True'> | undefined {
  const trouble = findPodTrouble(job, { podProblems: work.podProblems, pods, now });
  if (trouble !== undefined) return trouble;
  const failing = work.checkpoints.find(({ finished, lastError }) => !finished && lastError !== undefined);
  return failing === undefined ? undefined : isTrue('CopyFailing', `range ${failing.rangeId}: ${failing.lastError}`);
}

function describeFailure({ facts, remaining }: View, job: JobFact | undefined, retryTime: number): string {
  if (job === undefined) {
    return `${remaining.length} ranges are left of a Job that was removed because its pods did not end; tried again at ${formatTime(retryTime)}, or now with a new spec.retry`;
  }
  if (job.outcome === 'complete') {
    return `${remaining.length} ranges were copied in Job ${job.name}, but their checkpoints were removed or damaged: they are copied again at ${formatTime(retryTime)}, or now with a new spec.retry`;
  }
  const problem = facts.work.podProblems[0];
  const cause = problem ? `pod ${problem.pod}: ${problem.message}` : (job.failure ?? 'see the pods of the Job');
  return `${remaining.length} ranges failed in Job ${job.name} (${cause}); tried again at ${formatTime(retryTime)}, or now with a new spec.retry`;
}

function describeCompletion(copy: CopyStatus, skipped: SkippedStatus): FindingOf<'Copied'> {
  const { identitiesRead = 0, identitiesCopied = 0, identitiesUnchanged = 0 } = copy;
  const parts = [`${identitiesCopied} written`, `${identitiesUnchanged} left as they were in Edge`];
  if (skipped.total > 0) parts.push(`${skipped.total} skipped, listed in ConfigMap ${skipped.reportName}`);
  return isTrue('Complete', `${identitiesRead} identities: ${parts.join(', ')}`);
}

const suspended = (state: string): FindingOf<'Copied'> => isFalse('Suspended', `suspended; ${state}`);
