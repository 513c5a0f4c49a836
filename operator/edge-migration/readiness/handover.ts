import type { HandoverStage } from '../../handover/job.ts';
import type { Action } from '../actions.ts';
import type { EdgeMigration } from '../api.ts';
import { findCondition } from '../conditions.ts';
import type { Facts } from '../facts.ts';
import { type HandoverFact, isComplete, type ReadinessFact } from './facts.ts';

/** What is to be done about the hand-over by Flagsmith's own code. */
export interface HandoverDecision {
  actions: Action[];
  /** The copy waits for it: environments come first, as in Flagsmith's own migration. */
  waits: boolean;
  nextTime: number | undefined;
  /** What `EdgeReady` says of it while Edge lacks something. */
  finding: { reason: 'HandoverRunning' | 'HandoverFailed'; message: string } | { message: string } | undefined;
}

/** A hand-over that failed is tried again so long after its end. */
const RETRY_MILLISECONDS = 10 * 60_000;
const LOOK_MILLISECONDS = 1_000;
/** Of what others hold up, or of what may go on for ever. */
const SELDOM_MILLISECONDS = 10_000;
const NOTHING: HandoverDecision = { actions: [], waits: false, nextTime: undefined, finding: undefined };

/** Whose turn it is: a plan only asks what could be done; overrides count as complete only once they are copied. */
export function chooseStage(
  { spec, status }: Pick<EdgeMigration, 'spec' | 'status'>,
  { mode, when }: Pick<HandoverFact, 'mode' | 'when'>,
): HandoverStage | undefined {
  if (spec === undefined) return undefined;
  if (mode === 'Verify' || spec.mode === 'Plan') return 'verify';
  const isCopied = findCondition(status.conditions, 'Copied')?.status === 'True';
  if (isCopied) return 'after';
  return when === 'BeforeCopy' ? 'before' : undefined;
}

/** Starts the hand-over when it is wanted, and once more some time after it failed, or when `spec.retry` asks for it. */
export function decideHandover({ migration, handover, readiness, now }: Facts): HandoverDecision {
  if (handover?.stage === undefined || readiness === undefined) return NOTHING;
  const { stage, state } = handover;
  const { spec, status } = migration;
  const mayAct = spec?.suspend === false && findCondition(status.conditions, 'Accepted')?.status === 'True';
  const start: Action = { kind: 'startHandover', stage };
  switch (state.kind) {
    case 'running': {
      const { trouble, isOverdue } = state;
      const late = isOverdue ? '; it takes longer than it may: its Job may be suspended' : '';
      const message = trouble === undefined ? late : `${late}; its pod does not start: ${trouble}`;
      return {
        actions: [],
        waits: stage === 'before' && !isOverdue,
        nextTime: now + (isOverdue ? SELDOM_MILLISECONDS : LOOK_MILLISECONDS),
        finding: { reason: 'HandoverRunning', message: `Flagsmith's own code hands the project over${message}` },
      };
    }
    case 'queued': {
      if (!mayAct || !isWanted(readiness, stage)) return NOTHING;
      return {
        actions: [],
        waits: stage === 'before' && !state.isOverdue,
        nextTime: now + SELDOM_MILLISECONDS,
        finding: { message: 'the hand-over by Flagsmith waits until those of other projects have ended' },
      };
    }
    case 'absent': {
      if (!isWanted(readiness, stage)) return NOTHING;
      const waits = stage === 'before';
      return mayAct
        ? { ...NOTHING, actions: [start], waits, nextTime: now + LOOK_MILLISECONDS }
        : { ...NOTHING, waits };
    }
    case 'ended': {
      const { outcome, words, time } = state;
      const isAsked = spec?.retry !== undefined && spec.retry !== status.observedRetry;
      const hasFailed = outcome !== 'done' && outcome !== 'verified';
      const mayRetry = mayAct && isWanted(readiness, stage);
      const retryTime = mayRetry && hasFailed ? time + RETRY_MILLISECONDS : Number.POSITIVE_INFINITY;
      const isDue = mayRetry && (isAsked || retryTime <= now);
      // Whatever may come to allow it is news, which is looked at anyway.
      const waitTime = retryTime === Number.POSITIVE_INFINITY ? undefined : retryTime;
      return {
        ...NOTHING,
        actions: isDue ? [start] : [],
        nextTime: isDue ? now + LOOK_MILLISECONDS : waitTime,
        finding: hasFailed
          ? { reason: 'HandoverFailed', message: nameFailure(outcome, words) }
          : { message: `the hand-over by Flagsmith ended: ${words}` },
      };
    }
  }
}

function isWanted(readiness: ReadinessFact, stage: HandoverStage): boolean {
  if (readiness.kind !== 'observed') return false;
  return !isComplete(readiness) || (stage === 'after' && readiness.overridesCounted === false);
}

function nameFailure(outcome: string, words: string): string {
  const how =
    { refused: 'was refused', unknownRelease: 'is not known for this release of Flagsmith' }[outcome] ?? 'failed';
  return `the hand-over ${how}: ${words}`;
}
