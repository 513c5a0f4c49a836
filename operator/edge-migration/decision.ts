import { isDeepStrictEqual } from 'node:util';
import {
  type CopyStatus,
  type EdgeMigration,
  type EdgeStatus,
  type GapStatus,
  objectNames,
  type PlanStatus,
  type ReplayStatus,
  type SkippedStatus,
  type Status,
} from '@edge-migration/contract/edge-migration/api.ts';
import { isDropToken } from '@edge-migration/contract/edge-migration/retry-token.ts';
import { nameMilestone } from '../verify/audit.ts';
import type { Action } from './actions.ts';
import { describeSkew } from './clock-skew.ts';
import {
  conditionFalse,
  conditionTrue,
  type DecidedCondition,
  type FindingOf,
  type Findings,
  mergeConditions,
  recordedCondition,
} from './conditions.ts';
import type { Facts } from './facts.ts';
import { collectGaps, describeGaps } from './gaps.ts';
import { followTable, hasOverrides } from './overrides.ts';
import { decideCapturing, decideSuspended } from './policies.ts';
import { earliest } from './progress.ts';
import { decideMarks, decideReadiness, nextEdgeCheckTime } from './readiness/decide.ts';
import { findForwarding } from './readiness/forwarding.ts';
import { decideHandover } from './readiness/handover.ts';
import { recordStatus, type StatusRecord } from './record.ts';
import { fitStatus, summarise } from './summary.ts';
import { decideUnstorable } from './unstorable.ts';
import { decideStillOnCore } from './usage/still-on-core.ts';
import { decideVerification, findUncovered, type VerificationDecision } from './verification.ts';
import { describeStuck, findDropped, findExcess, findStuck } from './waiting-events.ts';

export interface Decision {
  /** The whole new status. */
  status: Status;
  actions: Action[];
  /** Stored once the actions are carried out, and before the status is written; undefined when nothing in it is new. */
  record: StatusRecord | undefined;
  /** Milliseconds since the epoch: decide again then even if nothing happens. */
  nextTime: number | undefined;
}

/** What each state of a migration decides for itself; parts of the status that it leaves out stay unchanged. */
export interface DecisionParts {
  accepted: FindingOf<'Accepted'>;
  copied: FindingOf<'Copied'>;
  degraded?: DecidedCondition<'True'> | undefined;
  replaying?: FindingOf<'Replaying'>;
  succeeded: FindingOf<'Succeeded'>;
  copy?: CopyStatus;
  skipped?: SkippedStatus | undefined;
  plan?: PlanStatus;
  replay?: ReplayStatus;
  actions: Action[];
  nextTime?: number | undefined;
}

/** Adds the parts common to all states: capture, gaps, comparisons, `spec.retry` and the audit. */
export function compose(facts: Facts, parts: DecisionParts): Decision {
  const { migration, now } = facts;
  const before = migration.status;
  const carried = carryOver(before, facts, parts);
  const { copy, replay } = carried;
  // A new acceptance is published before anything begins: people see every condition first, and appliers, which follow
  // the status, never mistake a running copy for one that was not accepted.
  const isNews =
    parts.accepted.status === 'True' && recordedCondition(before.conditions, 'Accepted')?.status !== 'True';
  const isFirst = before.conditions === undefined;
  const observedRetry = isNews && !isFirst ? before.observedRetry : takeRetry(facts);
  const isClosed = parts.succeeded.reason === 'WindowClosed';
  const window = { start: copy?.dryRun ? undefined : copy?.startTime, deadline: replay?.deadline };
  const stuck = findStuck(facts, window);
  const given = [...findExcess(facts, window), ...findDropped(facts, stuck, window, observedRetry)];
  const gaps = collectGaps(facts, window.start, window.deadline, given);
  const comparison = decideVerification(facts, {
    isCopied: parts.accepted.status === 'True' && parts.copied.status === 'True',
    copyTime: copy?.completionTime,
    isClosed,
    deadline: replay?.deadline,
    gaps,
  });
  const { unstorable, degraded, actions } = decideUnstorable(facts, isClosed);
  const waiting = isClosed ? undefined : describeStuck(stuck);
  const contents = { ...carried, copy: followTable(facts, copy, comparison.overridesTable) };
  const isCopied = parts.accepted.status === 'True' && parts.copied.status === 'True';
  const handover = decideHandover(facts);
  const edgeReady = decideReadiness(facts, {
    handover: handover.finding,
    isCopied: parts.copied.status === 'True',
    hasOverrides: hasOverrides({ status: contents }, facts.settings),
  });
  const marks = decideMarks(facts, edgeReady, {
    isCopied,
    hasBegun: migration.spec?.mode === 'Migrate' && (copy?.attempt ?? 0) > 0,
  });
  const findings = {
    ...gatherFindings(facts, parts, gaps, comparison, [waiting, degraded]),
    ...(edgeReady && { EdgeReady: edgeReady }),
  };
  const usage = decideStillOnCore(facts, replay);
  const replayed = replay && withStillOnCore(replay, usage.stillOnCore);
  const all = { ...contents, replay: replayed, observedRetry, gaps, unstorable, verification: comparison.verification };
  const build = (messageLength: number) => account(migration, buildStatus(facts, findings, all, messageLength));
  const status = fitStatus(build);
  const isAudited = status.audit?.milestone === before.audit?.milestone;
  const wanted: Action[] = [
    ...parts.actions.filter(marks.admits),
    ...(parts.accepted.status === 'True' ? handover.actions : []),
    ...comparison.actions,
    ...actions,
    ...usage.actions,
    ...(isAudited ? [] : [{ kind: 'writeAudit', status } as const]),
  ];
  const record = findNews(facts, status);
  if (isFirst || isNews) {
    return { status, actions: [...wanted.filter(isReport), ...marks.late], record, nextTime: now };
  }
  const nextChecks = [nextEdgeCheckTime(facts.readiness), handover.nextTime, marks.nextTime];
  const times = [comparison.nextTime, usage.nextTime, ...nextChecks];
  const nextTime = times.reduce(earliest, parts.nextTime);
  return { status, actions: [...wanted, ...marks.late], record, nextTime };
}

const REPORTS: readonly Action['kind'][] = [
  'markCompleted',
  'writeSkippedReport',
  'writeUnstorableReport',
  'writeUsageSeries',
  'writeVerificationReport',
  'writeAudit',
];

/**
 * Records what has already happened. It never waits: the status says so at the same time, even the first status, which
 * may be the first after the previous one was removed.
 */
const isReport = ({ kind }: Action): boolean => REPORTS.includes(kind);

/** Nothing waits for them: the writes reach them when they are back. */
function describeReplicas(replication: EdgeStatus | undefined): DecidedCondition<'True'> | undefined {
  const { inactiveReplicas = [] } = replication ?? {};
  if (inactiveReplicas.length === 0) return undefined;
  const names = inactiveReplicas.join(', ');
  return conditionTrue(
    'ReplicaInactive',
    `not every replica of the tables of Edge is ACTIVE, and may lag behind: ${names}`,
  );
}

const carryOver = (before: Status, { replication }: Facts, { copy, skipped, plan, replay }: DecisionParts) => ({
  copy: copy ?? before.copy,
  skipped: skipped ?? before.skipped,
  plan: plan ?? before.plan,
  replay: replay ?? before.replay,
  audit: before.audit,
  edge: replication ?? before.edge,
});

/** Every condition; of several reasons for `Degraded` the first wins. */
function gatherFindings(
  facts: Facts,
  { accepted, copied, degraded, replaying, succeeded }: DecisionParts,
  gaps: readonly GapStatus[],
  comparison: VerificationDecision,
  [waiting, unstorable]: readonly (DecidedCondition<'True'> | undefined)[],
): Findings {
  return {
    Accepted: accepted,
    Capturing: decideCapturing(facts),
    Copied: copied,
    Verified: comparison.verified,
    Replaying: replaying ?? conditionFalse('NotReplaying', 'nothing is replayed'),
    Suspended: decideSuspended(facts),
    Degraded:
      degraded ??
      comparison.degraded ??
      waiting ??
      describeGaps(findUncovered(gaps, comparison.verification ?? {}, facts.settings.gapSettlesMs)) ??
      (succeeded.status === 'Unknown'
        ? (describeSkew(facts.clocks ?? []) ?? findForwarding(facts) ?? describeReplicas(facts.replication))
        : undefined) ??
      unstorable ??
      conditionFalse('AsExpected', 'nothing needs attention'),
    Succeeded: succeeded,
  };
}

type Contents = Pick<
  Status,
  'observedRetry' | 'copy' | 'skipped' | 'unstorable' | 'plan' | 'replay' | 'gaps' | 'verification' | 'audit' | 'edge'
>;

/** The status with messages of so many characters, without its empty fields. */
function buildStatus(
  { migration, now }: Facts,
  findings: Findings,
  { observedRetry, copy, skipped, unstorable, plan, replay, gaps, verification, audit, edge }: Contents,
  messageLength: number,
): Status {
  const { generation, status: before } = migration;
  return {
    observedGeneration: generation,
    ...summarise(findings, copy, messageLength),
    ...(observedRetry === undefined ? {} : { observedRetry }),
    conditions: mergeConditions(before.conditions, findings, { generation, now, messageLength }),
    ...(copy === undefined || Object.keys(copy).length === 0 ? {} : { copy }),
    ...(skipped === undefined ? {} : { skipped }),
    ...(unstorable === undefined ? {} : { unstorable }),
    ...(plan === undefined ? {} : { plan }),
    ...(replay === undefined || Object.keys(replay).length === 0 ? {} : { replay }),
    ...(gaps === undefined || gaps.length === 0 ? {} : { gaps }),
    ...(verification === undefined ? {} : { verification }),
    ...(audit === undefined ? {} : { audit }),
    ...(edge === undefined ? {} : { edge }),
  };
}

function withStillOnCore({ stillOnCore: _, ...replay }: ReplayStatus, stillOnCore: ReplayStatus['stillOnCore']) {
  return stillOnCore === undefined ? replay : { ...replay, stillOnCore };
}

function findNews({ record: known }: Facts, status: Status): StatusRecord | undefined {
  const record = recordStatus(status);
  return isDeepStrictEqual(record, known) ? undefined : record;
}

/** Writes what has ended into the audit, and says so in the status. */
function account(migration: EdgeMigration, status: Status): Status {
  const milestone = nameMilestone(status);
  if (milestone === undefined || milestone === status.audit?.milestone) return status;
  return { ...status, audit: { reportName: objectNames(migration, 'copy').audit, milestone } };
}

/**
 * A token is taken once its request can be carried out: not while suspended, nor while the Job still works on the rest,
 * and a token that gives up parked events not while it is unknown what they are.
 */
function takeRetry({ migration, work, replay }: Facts): string | undefined {
  const { spec, status } = migration;
  if (isDropToken(spec?.retry) && replay.kind === 'unknown') return status.observedRetry;
  const isBusy = work.jobs.some(({ outcome, failedIndexes }) => outcome === 'active' && failedIndexes.length > 0);
  return spec?.suspend || isBusy ? status.observedRetry : (spec?.retry ?? status.observedRetry);
}
