import {
  type CopyStatus,
  objectNames,
  type SkippedStatus,
  type Spec,
} from '@edge-migration/contract/edge-migration/api.ts';
import type { Action } from './actions.ts';
import { conditionFalse, conditionTrue, type DecidedCondition, type FindingOf, formatTime } from './conditions.ts';
import type { Facts, LiveSettings, WorkFacts } from './facts.ts';
import { agreeOnTable } from './overrides.ts';
import { earliest, isTooSoon, measureProgress, PROGRESS_INTERVAL_MS, summariseSkipped } from './progress.ts';
import { decideRanges, type Stage, type WorkKind, type WorkProgress } from './range-work.ts';
import { definitionOf } from './work-definition.ts';

/** The state of the ranges' work, be it a plan's or a copy's, and what to do about it. */
export interface WorkDecision {
  /** For condition `Copied`. */
  finding: FindingOf<'Copied'>;
  degraded: DecidedCondition<'True'> | undefined;
  copy: CopyStatus;
  skipped: SkippedStatus | undefined;
  actions: Action[];
  /** Decide again at this time even if nothing happens. */
  nextTime: number | undefined;
  complete: boolean;
}

/** Decides about the copy (or the plan) from the existing ranges, Jobs and checkpoints. */
export function decideWork(facts: Facts, spec: Spec, operation: 'plan' | 'copy'): WorkDecision {
  const progress = decideRanges(facts, spec, describeKind(facts, spec, operation));
  const view = { facts, spec, operation, progress };
  const { stage } = progress;
  switch (stage.kind) {
    case 'unplanned':
    case 'planning':
      return tellPlanning(view);
    case 'running':
      return tellRunning(view);
    case 'stopped':
    case 'waiting':
    case 'starting':
      return tellRemaining(view, stage);
    case 'settling':
      return tellSettling(view, stage.until);
    case 'complete':
      return conclude(view);
  }
}

interface View {
  facts: Facts;
  spec: Spec;
  operation: 'plan' | 'copy';
  progress: WorkProgress;
}

function describeKind(facts: Facts, spec: Spec, operation: 'plan' | 'copy'): WorkKind<LiveSettings> {
  const { work, migration } = facts;
  const { beforeStart, leavesWrites } = definitionOf(operation);
  return {
    operation,
    work,
    known: migration.status.copy ?? {},
    chooseSettings: (pods) => chooseSettings(spec, pods),
    writeSettings: (settings) => ({ kind: 'writeLiveSettings', operation, settings }),
    beforeStart,
    settledTime: leavesWrites ? findSettledTime(facts) : Number.NEGATIVE_INFINITY,
    isRetryAsked: spec.retry !== undefined && spec.retry !== migration.status.observedRetry,
  };
}

/**
 * A page that some pod still holds must be too old to be written, and requests of pods unknown to this copy must have
 * arrived.
 */
function findSettledTime({ now, work, settings }: Facts): number {
  const { ranges, idleSince = now, formerSeen = Number.NEGATIVE_INFINITY } = work;
  // When the last pod can have read a page. Without any pod nothing was read.
  const lastRead = ranges?.length === 0 ? Number.NEGATIVE_INFINITY : idleSince;
  return Math.max(lastRead + settings.pageMaxAgeMs, formerSeen + settings.lateWriteMs);
}

function tellPlanning({ facts, spec, operation, progress }: View): WorkDecision {
  const before = facts.migration.status;
  const { actions } = progress;
  const base = { degraded: undefined, skipped: before.skipped, actions, nextTime: undefined, complete: false };
  const copy = { ...before.copy };
  if (spec.suspend) return { ...base, finding: suspended('nothing is planned yet'), copy };
  return {
    ...base,
    finding: conditionFalse('Planning', 'the identities are counted and divided into ranges'),
    copy: {
      ...(operation === 'plan' ? { dryRun: true } : {}),
      ...copy,
      startTime: copy.startTime ?? formatTime(facts.now),
    },
  };
}

function tellRunning(view: View): WorkDecision {
  const { facts, spec, progress } = view;
  const { copy: measured, skipped, nextTime } = describeComparisonProgress(view);
  const { retryTime, degraded, actions } = progress;
  const copy = retryTime === undefined ? measured : { ...measured, retryTime: formatTime(retryTime) };
  const read = `${copy.identitiesRead ?? 0} of ${copy.identitiesTotal ?? 0} identities`;
  return {
    finding: spec.suspend
      ? suspended(`stopped at ${read}`)
      : conditionFalse('Copying', `${read} done, ${copy.identitiesPerSecond ?? 0} a second`),
    degraded: degraded ?? (spec.suspend ? undefined : findFailing(facts.work)),
    copy,
    skipped,
    actions,
    nextTime: earliest(nextTime, progress.nextTime),
    complete: false,
  };
}

/** Ranges are left and no pods work on them: they are started, wait for the next try, or must not begin. */
function tellRemaining(view: View, stage: Extract<Stage, { kind: 'stopped' | 'waiting' | 'starting' }>): WorkDecision {
  const { remaining, job, actions } = view.progress;
  const { copy, skipped } = describeComparisonProgress(view);
  const base = { degraded: undefined, skipped, copy, actions, nextTime: undefined, complete: false };
  const failed = job === undefined ? {} : { rangesFailed: remaining.length };
  switch (stage.kind) {
    case 'stopped':
      return { ...base, finding: suspended('no pods run'), copy: { ...copy, ...failed } };
    case 'waiting': {
      const finding = conditionFalse('RangesFailed', describeFailure(view, stage.until));
      const status = { ...copy, ...failed, retryTime: formatTime(stage.until) };
      const degraded = conditionTrue(finding.reason, finding.message);
      return { ...base, finding, degraded, copy: status, nextTime: stage.until };
    }
    case 'starting':
      return { ...base, finding: conditionFalse('Copying', `pods for ${remaining.length} ranges are started`) };
  }
}

function tellSettling(view: View, until: number): WorkDecision {
  const message = `every range is done; complete at ${formatTime(until + 999)}, when no earlier read or write can still take effect`;
  return {
    ...summarise(view),
    finding: conditionFalse('Settling', message),
    degraded: findLingering(view.facts.work),
    actions: [],
    nextTime: until,
    complete: false,
  };
}

function conclude(view: View): WorkDecision {
  const { facts, operation } = view;
  const { copy, skipped } = summarise(view);
  const actions: Action[] = skipped.total > 0 ? [{ kind: 'writeSkippedReport', operation }] : [];
  if (operation === 'copy') actions.push({ kind: 'markCompleted' });
  return {
    finding: describeCompletion(copy, skipped),
    degraded: undefined,
    copy: operation === 'copy' ? { ...copy, completionTime: formatTime(facts.now), ...nameTable(facts) } : copy,
    skipped,
    actions,
    nextTime: undefined,
    complete: true,
  };
}

/** The numbers of the finished work. */
function summarise(view: View): { copy: CopyStatus; skipped: SkippedStatus } {
  const { facts, progress } = view;
  const copy = { ...measureProgress(facts, progress.done), ...keptFrom(view), identitiesPerSecond: 0 };
  return { copy, skipped: listSkipped(view) };
}

const listSkipped = ({ facts, operation }: View): SkippedStatus =>
  summariseSkipped(facts.work.checkpoints, objectNames(facts.migration, operation).skippedReport);

/** A running copy's numbers, taken from the previous status when they changed a moment ago. */
function describeComparisonProgress(view: View): Pick<WorkDecision, 'copy' | 'skipped' | 'nextTime'> {
  const { facts, progress } = view;
  const { status } = facts.migration;
  const kept = keptFrom(view);
  if (status.copy !== undefined && isTooSoon(status, facts.now)) {
    const { retryTime: _, ...copy } = status.copy;
    const nextTime = Date.parse(status.copy.progressTime ?? '') + PROGRESS_INTERVAL_MS;
    return { copy: { ...copy, ...kept }, skipped: status.skipped, nextTime };
  }
  const measured = measureProgress(facts, progress.done);
  const { progressTime: _, ...now } = measured;
  const { progressTime: __, ...before } = { ...status.copy };
  const isMoved = Object.entries(now).some(([key, value]) => before[key as keyof typeof before] !== value);
  return {
    copy: {
      ...measured,
      ...kept,
      ...(isMoved ? {} : { progressTime: status.copy?.progressTime ?? measured.progressTime }),
    },
    skipped: listSkipped(view),
    nextTime: undefined,
  };
}

/** The numbers that the checkpoints do not have. */
function keptFrom({ facts, progress: { job }, operation }: View): CopyStatus {
  const { copy } = facts.migration.status;
  // The replica that planned may have died before it could say when.
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

const chooseSettings = (
  { copy: { pageSize, maxWriteUnitsPerSecond, onConflict } }: Spec,
  pods: number,
): LiveSettings => ({
  pageSize,
  maxWriteUnitsPerSecond: Math.max(1, Math.floor(maxWriteUnitsPerSecond / pods)),
  onConflict,
});

const nameTable = (facts: Facts): Pick<CopyStatus, 'overridesTable'> => {
  const overridesTable = agreeOnTable(facts, facts.work.checkpoints);
  return overridesTable === undefined ? {} : { overridesTable };
};

/** A pod that does not end may still write: nothing is complete before it is gone. */
function findLingering({ idleSince, podProblems }: WorkFacts): DecidedCondition<'True'> | undefined {
  const problem = idleSince === undefined ? podProblems.find(({ reason }) => reason === 'PodNotEnding') : undefined;
  return problem && conditionTrue(problem.reason, `pod ${problem.pod}: ${problem.message}`);
}

/** A pod's checkpoint says why it failed, even after the pod is gone. */
function findFailing({ checkpoints }: WorkFacts): DecidedCondition<'True'> | undefined {
  const failing = checkpoints.find(({ finished, lastError }) => !finished && lastError !== undefined);
  return failing === undefined
    ? undefined
    : conditionTrue('CopyFailing', `range ${failing.rangeId}: ${failing.lastError}`);
}

function describeFailure({ facts, progress: { remaining, job } }: View, retryTime: number): string {
  if (job === undefined) {
    return `${remaining.length} ranges are left of a Job that was removed because its pods did not end; retried at ${formatTime(retryTime)}, or now with a new spec.retry`;
  }
  if (job.outcome === 'complete') {
    return `${remaining.length} ranges were copied in Job ${job.name}, but their checkpoints were removed or damaged: they are copied again at ${formatTime(retryTime)}, or now with a new spec.retry`;
  }
  const problem = facts.work.podProblems[0];
  const cause = problem ? `pod ${problem.pod}: ${problem.message}` : (job.failure ?? 'see the pods of the Job');
  return `${remaining.length} ranges failed in Job ${job.name} (${cause}); retried at ${formatTime(retryTime)}, or now with a new spec.retry`;
}

function describeCompletion(copy: CopyStatus, skipped: SkippedStatus): FindingOf<'Copied'> {
  const { identitiesRead = 0, identitiesCopied = 0, identitiesUnchanged = 0 } = copy;
  const parts = [`${identitiesCopied} written`, `${identitiesUnchanged} left as they were in Edge`];
  if (skipped.total > 0) parts.push(`${skipped.total} skipped, listed in ConfigMap ${skipped.reportName}`);
  return conditionTrue('Complete', `${identitiesRead} identities: ${parts.join(', ')}`);
}

const suspended = (state: string): FindingOf<'Copied'> => conditionFalse('Suspended', `suspended; ${state}`);
