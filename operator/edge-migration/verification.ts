import {
  type CurrentComparison,
  type GapStatus,
  type Operation,
  objectNames,
  type Spec,
  type VerificationStatus,
} from '@edge-migration/contract/edge-migration/api.ts';
import { nameAuthority } from '@edge-migration/contract/edge-migration/verification-status.ts';
import type { VerifySettings } from '../verify/settings.ts';
import type { Action } from './actions.ts';
import { conditionTrue, conditionUnknown, type DecidedCondition, type FindingOf, formatTime } from './conditions.ts';
import type { Facts, VerificationFacts } from './facts.ts';
import { holdJobs } from './jobs.ts';
import { agreeOnTable } from './overrides.ts';
import { decideRanges, retire, type WorkKind, type WorkProgress } from './range-work.ts';
import { describeComparisonProgress, describeVerdict, summariseComparison } from './verification-result.ts';
import { definitionOf } from './work-definition.ts';

/** The part of a decision about comparing Core and Edge. */
export interface VerificationDecision {
  verified: FindingOf<'Verified'>;
  degraded: DecidedCondition<'True'> | undefined;
  verification: VerificationStatus | undefined;
  /** The table just found to lack no override's row and to have none that is wrong. */
  overridesTable?: string | undefined;
  actions: Action[];
  nextTime: number | undefined;
}

/** The part of the remaining decision that matters here. */
export interface VerificationContext {
  /** Comparisons may run: the migration is accepted, and its copy complete. */
  isCopied: boolean;
  /** When the copy was complete, RFC 3339. */
  copyTime: string | undefined;
  /** The deadline has passed and everything before it is applied. */
  isClosed: boolean;
  deadline: string | undefined;
  gaps: readonly GapStatus[];
}

/** While pods compare, their settings show replay's progress this often. */
const SETTINGS_MS = 2_000;
/** The checkpoints of finished pods may arrive shortly after their Job's end. */
const CHECKPOINT_MS = 10_000;
const WRITE_UNITS_PER_SECOND = 1_000;

/**
 * Decides which comparison is due and carries it out (docs/verification.md, "When it runs"): after the copy, at the
 * deadline, when `spec.retry` asks for one, and after writes were not captured.
 */
export function decideVerification(facts: Facts, context: VerificationContext): VerificationDecision {
  const before = facts.migration.status.verification;
  const { spec } = facts.migration;
  if (spec === undefined || !context.isCopied)
    return hold(facts, before, 'Core and Edge are compared when the copy is complete');
  // The home region may lack writes made elsewhere, and a comparison reads the home region.
  if (facts.replay.kind === 'observed' && facts.replay.away !== undefined)
    return hold(facts, before, `Core and Edge are compared when ${facts.replay.away.home} is written again`);
  const current = before?.current;
  if (current !== undefined) return carryOn({ facts, spec, context, before: before ?? {}, current });
  const due = spec.suspend ? undefined : findDue(facts, spec, context);
  if (due !== undefined && !('nextTime' in due)) {
    const run = (before?.last?.run ?? 0) + 1;
    const started: CurrentComparison = { ...due, run, startTime: formatTime(facts.now) };
    const verification = { ...before, current: started };
    return { ...rest(facts, verification, 'the comparison begins'), nextTime: facts.now };
  }
  const actions = before?.last === undefined ? [] : retire(operationOf(before.last), facts.verification ?? NO_WORK);
  return { ...rest(facts, before, describeNone(spec)), actions, nextTime: due?.nextTime };
}

const operationOf = ({ run }: { run: number }): Operation => `verify-${run}`;

/** Compares nothing now; pods that do are stopped until they may go on. */
function hold(facts: Facts, before: VerificationStatus | undefined, message: string): VerificationDecision {
  const { current } = before ?? {};
  const { jobs } = facts.verification ?? NO_WORK;
  const held = rest(facts, before, message);
  return current === undefined ? held : { ...held, actions: holdJobs(operationOf(current), jobs) };
}

/** The last verdict stays until the next one. */
function rest(facts: Facts, verification: VerificationStatus | undefined, message: string): VerificationDecision {
  const verified =
    verification?.last !== undefined
      ? describeVerdict(verification.last)
      : conditionUnknown(verification?.current === undefined ? reasonForNone(facts) : 'Comparing', message);
  return { verified, degraded: undefined, verification, actions: [], nextTime: undefined };
}

/** Users who want no comparison need not hear that there was none. */
const reasonForNone = ({ migration }: Facts) =>
  migration.spec?.verify.afterCopy === 'Never' ? 'SwitchedOff' : 'NotVerified';

const describeNone = ({ verify }: Spec) =>
  verify.afterCopy === 'Never'
    ? 'Core and Edge have not been compared: spec.verify.afterCopy is Never'
    : 'Core and Edge have not been compared';

type Due = Pick<CurrentComparison, 'trigger' | 'mode' | 'authority' | 'moment' | 'token'>;

/** The next comparison, or when to check again; undefined when none is due. */
function findDue(facts: Facts, spec: Spec, context: VerificationContext): Due | { nextTime: number } | undefined {
  const { now, migration } = facts;
  const { gapSettlesMs } = facts.settings;
  const done = migration.status.verification ?? {};
  const { afterCopy, atDeadline } = spec.verify;
  const authority = nameAuthority(context.isClosed ? 'Edge' : 'Core');
  if (afterCopy !== 'Never' && !context.isClosed && done.copyTime !== context.copyTime) {
    return { trigger: 'AfterCopy', mode: afterCopy, ...authority };
  }
  const [, asked] = /^(verify|repair)(?:-|$)/.exec(spec.retry ?? '') ?? [];
  if (asked !== undefined && done.token !== spec.retry) {
    return { trigger: 'Requested', mode: asked === 'repair' ? 'Repair' : 'Report', ...authority, token: spec.retry };
  }
  if (context.isClosed && atDeadline !== 'Never' && done.deadline !== context.deadline) {
    return { trigger: 'AtDeadline', mode: atDeadline, ...authority };
  }
  const uncovered = findUncovered(context.gaps, done, gapSettlesMs);
  const open = uncovered.flatMap(({ until }) => (until === undefined ? [] : Date.parse(until)));
  if (open.length === 0) return undefined;
  const settled = Math.max(...open) + gapSettlesMs;
  return settled > now ? { nextTime: settled } : { trigger: 'CoverageGap', mode: 'Report', ...authority };
}

/** Gaps not followed by a comparison that began after their writes had settled. */
export function findUncovered(
  gaps: readonly GapStatus[],
  { coveredTime }: VerificationStatus,
  settlesMs: number,
): GapStatus[] {
  const covered = coveredTime === undefined ? Number.NEGATIVE_INFINITY : Date.parse(coveredTime);
  return gaps.filter(({ until }) => until === undefined || Date.parse(until) + settlesMs > covered);
}

interface View {
  facts: Facts;
  spec: Spec;
  context: VerificationContext;
  before: VerificationStatus;
  current: CurrentComparison;
}

const NO_WORK: VerificationFacts = {
  ranges: undefined,
  jobs: [],
  checkpoints: [],
  podProblems: [],
  liveSettings: undefined,
};

/** The current comparison: its ranges are worked on, and its outcome is recorded in the end. */
function carryOn(view: View): VerificationDecision {
  const { facts, spec, before } = view;
  const work = facts.verification ?? NO_WORK;
  const progress = decideRanges(facts, spec, describeKind(view, work));
  const { stage, actions } = progress;
  switch (stage.kind) {
    case 'running':
      return tellRunning(view, work, progress, stage.job.attempt);
    case 'waiting':
      return tellWaiting(view, work, progress, stage.until);
    case 'settling':
    case 'complete':
      return conclude(view, work);
    default:
      return { ...rest(facts, before, describeComparisonProgress(work)), actions };
  }
}

/** Settled at once: it leaves no writes on their way. */
function describeKind(view: View, work: VerificationFacts): WorkKind<VerifySettings> {
  const { current } = view;
  const { mode, authority } = current;
  const operation = operationOf(current);
  return {
    operation,
    work,
    known: current,
    chooseSettings: (pods) => chooseSettings(view, work, pods),
    writeSettings: (settings) => ({ kind: 'writeVerifySettings', operation, settings }),
    beforeStart: definitionOf(operation).beforeStart,
    comparison: { mode, authority },
    settledTime: Number.NEGATIVE_INFINITY,
    // A token asks for a comparison of its own (`verify`, `repair`), or for another attempt of the copy.
    isRetryAsked: false,
    // Unlike those of a copy, checkpoints are not listed again where the cache lacks one.
    pauseAfterSuccess: CHECKPOINT_MS,
  };
}

function tellRunning(
  view: View,
  work: VerificationFacts,
  { retryTime, degraded, actions }: WorkProgress,
  attempt: number,
): VerificationDecision {
  const { facts, spec, before, current } = view;
  const { retryTime: _, ...others } = current;
  const again = retryTime === undefined ? {} : { retryTime: formatTime(retryTime) };
  const verification = { ...before, current: { ...others, ...again, attempt, ...moveProgress(view, work) } };
  return {
    ...rest(facts, verification, spec.suspend ? 'suspended' : describeComparisonProgress(work)),
    actions,
    degraded,
    nextTime: spec.suspend ? undefined : facts.now + SETTINGS_MS,
  };
}

/** Progress is reported every few seconds. */
function moveProgress({ facts, current }: View, work: VerificationFacts): Partial<CurrentComparison> {
  const { progress, progressTime } = current;
  const isRecent = progressTime !== undefined && facts.now - Date.parse(progressTime) < 2 * SETTINGS_MS;
  const text = describeComparisonProgress(work);
  return isRecent || text === progress ? {} : { progress: text, progressTime: formatTime(facts.now) };
}

function tellWaiting(
  { facts, before, current }: View,
  work: VerificationFacts,
  { remaining, job }: WorkProgress,
  until: number,
): VerificationDecision {
  const retryTime = formatTime(until);
  const problem = work.podProblems[0]?.message ?? job?.failure ?? 'see the pods of the Job';
  const message = `the comparison of ${remaining.length} ranges failed (${problem}); retrying at ${retryTime}`;
  return {
    ...rest(facts, { ...before, current: { ...current, retryTime } }, message),
    degraded: job?.outcome === 'complete' ? undefined : conditionTrue('ComparisonFailed', message),
    nextTime: until,
  };
}

function chooseSettings({ facts, spec, context }: View, work: VerificationFacts, pods: number): VerifySettings {
  const { replay, coreAhead } = facts;
  // Events derived from others, waiting for room or to be handled again are not applied yet.
  const settled = replay.kind === 'observed' ? replay.settledUntil : undefined;
  // By the clock that the pods can ask as well.
  const known = settled === undefined || coreAhead === undefined ? undefined : settled + coreAhead;
  const isNoneReplayed = context.isClosed || replay.kind === 'disabled';
  const share = (unitsPerSecond: number) => Math.max(1, Math.floor(unitsPerSecond / pods));
  return {
    pageSize: spec.copy.pageSize,
    maxReadUnitsPerSecond: share(spec.verify.maxReadUnitsPerSecond),
    maxWriteUnitsPerSecond: share(Math.min(spec.copy.maxWriteUnitsPerSecond, WRITE_UNITS_PER_SECOND)),
    appliedUntil: isNoneReplayed ? 'none' : (known ?? work.liveSettings?.appliedUntil ?? null),
    ...(context.isClosed && { isClosed: true }),
  };
}

/** Every range is compared. */
function conclude({ facts, context, before, current }: View, work: VerificationFacts): VerificationDecision {
  const operation = operationOf(current);
  const { verificationReport: reportName } = objectNames(facts.migration, operation);
  const last = summariseComparison(current, work.checkpoints, { reportName, now: facts.now });
  const { current: _, ...others } = before;
  const verification: VerificationStatus = {
    ...others,
    last,
    coveredTime: current.startTime,
    ...(current.trigger === 'AfterCopy' && context.copyTime !== undefined ? { copyTime: context.copyTime } : {}),
    ...(context.isClosed && current.authority === 'Edge' && context.deadline !== undefined
      ? { deadline: context.deadline }
      : {}),
    ...(current.token === undefined ? {} : { token: current.token }),
  };
  return {
    verified: describeVerdict(last),
    degraded: undefined,
    verification,
    overridesTable: last.findings?.rows ? undefined : agreeOnTable(facts, work.checkpoints),
    actions: [{ kind: 'writeVerificationReport', operation, comparison: last }],
    nextTime: facts.now,
  };
}
