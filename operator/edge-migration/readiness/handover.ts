import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import { doubled } from '@edge-migration/runtime/backoff.ts';
import { HANDOVER_AGAIN, HANDOVER_POLL_MS } from '@edge-migration/runtime/policies.ts';
import type { HandoverStage } from '../../handover/job.ts';
import type { Action } from '../actions.ts';
import { formatTime, recordedCondition } from '../conditions.ts';
import type { Facts } from '../facts.ts';
import { hasOverrides } from '../overrides.ts';
import { type HandoverFact, type HandoverState, isComplete, type ReadinessFact } from './facts.ts';

/** What to do about the hand-over by Flagsmith's own code. */
export interface HandoverDecision {
  actions: Action[];
  /** The copy waits for it: environments come first, as in Flagsmith's own migration. */
  waits: boolean;
  nextTime: number | undefined;
  /** What `EdgeReady` says about it while Edge lacks something. */
  finding: { reason: 'HandoverRunning' | 'HandoverFailed'; message: string } | { message: string } | undefined;
}

const NOTHING: HandoverDecision = { actions: [], waits: false, nextTime: undefined, finding: undefined };

/** The next stage: a plan only checks what could be done; overrides count as complete only once all have rows. */
export function chooseStage(
  { spec, status }: Pick<EdgeMigration, 'spec' | 'status'>,
  { mode, when }: Pick<HandoverFact, 'mode' | 'when'>,
  settings: Facts['settings'],
): HandoverStage | undefined {
  if (spec === undefined) return undefined;
  if (mode === 'Verify' || spec.mode === 'Plan') return 'verify';
  const isCopied = recordedCondition(status.conditions, 'Copied')?.status === 'True';
  if (isCopied) return hasOverrides({ status }, settings) ? 'after' : 'before';
  return when === 'BeforeCopy' ? 'before' : undefined;
}

/** Starts the hand-over when it is wanted, and again some time after it failed, or when `spec.retry` asks for it. */
export function decideHandover({ migration, handover, readiness, forwardingPod, now }: Facts): HandoverDecision {
  if (handover?.stage === undefined || readiness === undefined) return NOTHING;
  const { stage, state } = handover;
  if (forwardingPod !== undefined && state.kind !== 'running' && wouldForward(readiness, stage)) {
    const message = `the hand-over waits while pod ${forwardingPod} of the Core API has EDGE_API_URL, with which Core would also forward requests of the project, over newer values (docs/cutover.md)`;
    return { ...NOTHING, finding: { message } };
  }
  const { spec, status } = migration;
  const mayAct = spec?.suspend === false && recordedCondition(status.conditions, 'Accepted')?.status === 'True';
  const start: Action = { kind: 'startHandover', stage };
  switch (state.kind) {
    case 'running': {
      const { trouble, isOverdue } = state;
      const late = isOverdue ? '; it takes longer than it may: its Job may be suspended' : '';
      const message = trouble === undefined ? late : `${late}; its pod does not start: ${trouble}`;
      return {
        actions: [],
        waits: stage === 'before' && !isOverdue,
        nextTime: now + (isOverdue ? HANDOVER_POLL_MS.overdue : HANDOVER_POLL_MS.running),
        finding: { reason: 'HandoverRunning', message: `Flagsmith's own code hands the project over${message}` },
      };
    }
    case 'queued': {
      if (!isWanted(readiness, stage)) return NOTHING;
      const waits = stage === 'before' && !state.isOverdue;
      if (!mayAct) return { ...NOTHING, waits };
      const message = 'the hand-over by Flagsmith waits until those of other projects have ended';
      return { actions: [], waits, nextTime: now + state.againMs, finding: { message } };
    }
    case 'absent': {
      if (!isWanted(readiness, stage)) return NOTHING;
      const waits = stage === 'before';
      return mayAct
        ? { ...NOTHING, actions: [start], waits, nextTime: now + HANDOVER_POLL_MS.running }
        : { ...NOTHING, waits };
    }
    case 'ended': {
      const isAsked = spec?.retry !== undefined && spec.retry !== status.observedRetry;
      const mayRetry = mayAct && isWanted(readiness, stage);
      return describeEnd(state, { start, isAsked, mayRetry, now });
    }
  }
}

/** A failed one is run again some time later, or once its cause may have gone; any, when that is requested. */
function describeEnd(
  { outcome, words, time, attempt, isOutdated }: Extract<HandoverState, { kind: 'ended' }>,
  { start, isAsked, mayRetry, now }: { start: Action; isAsked: boolean; mayRetry: boolean; now: number },
): HandoverDecision {
  const hasFailed = outcome !== 'done' && outcome !== 'verified';
  // Any event that may allow it triggers a check anyway.
  const retryTime = mayRetry && hasFailed ? time + retryDelay(attempt) : undefined;
  const again = retryTime === undefined ? '' : nameRetry(retryTime);
  const finding = hasFailed
    ? ({ reason: 'HandoverFailed', message: `${nameFailure(outcome, words)}${again}` } as const)
    : { message: `the hand-over by Flagsmith ended: ${words}` };
  const isDue = mayRetry && (isAsked || (retryTime !== undefined && (isOutdated || retryTime <= now)));
  return isDue
    ? { ...NOTHING, actions: [start], nextTime: now + HANDOVER_POLL_MS.running, finding }
    : { ...NOTHING, nextTime: retryTime, finding };
}

const retryDelay = (attempt: number) => doubled(HANDOVER_AGAIN, attempt - 1);

const nameRetry = (time: number) =>
  `; it is retried at ${formatTime(time)}, or at once when the Core API's pods or the spec change (spec.retry, for example)`;

function isWanted(readiness: ReadinessFact, stage: HandoverStage): boolean {
  if (readiness.kind !== 'observed') return false;
  return !isComplete(readiness) || (stage === 'after' && readiness.overridesCounted === false);
}

/** Core forwards requests only of projects with `enable_dynamo_db`. */
const wouldForward = (readiness: ReadinessFact, stage: HandoverStage): boolean =>
  stage !== 'verify' && readiness.kind === 'observed' && !readiness.enabled;

function nameFailure(outcome: string, words: string): string {
  const how =
    { refused: 'was refused', unknownRelease: 'is not known for this release of Flagsmith' }[outcome] ?? 'failed';
  return `the hand-over ${how}: ${words}`;
}
