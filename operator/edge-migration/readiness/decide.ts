import type { Action } from '../actions.ts';
import {
  conditionFalse,
  conditionTrue,
  conditionUnknown,
  type FindingOf,
  recall,
  recordedCondition,
} from '../conditions.ts';
import type { Facts } from '../facts.ts';
import { describeComplete, describeMissing, describeOverrides } from './describe.ts';
import { isComplete, type ObservedReadiness } from './facts.ts';
import type { HandoverDecision } from './handover.ts';
import { findHindrance, keepMarks, nextHindranceCheckTime } from './marks.ts';

/** The part of the remaining decision that matters here. */
interface Rest {
  /** The finding about the hand-over. */
  handover: HandoverDecision['finding'];
  /** The copy is complete. */
  isCopied: boolean;
  /** As far as is known, every copied override has its row. */
  hasOverrides: boolean;
}

/**
 * The finding for condition `EdgeReady`. Undefined where no table is configured that could be read, and nothing keeps
 * the project from being marked as migrated.
 */
export function decideReadiness(facts: Facts, rest: Rest): FindingOf<'EdgeReady'> | undefined {
  const { migration, readiness } = facts;
  const before = recordedCondition(migration.status.conditions, 'EdgeReady');
  const hindrance = findHindrance(facts);
  if (readiness === undefined) {
    if (hindrance?.kind === 'unknown') return before && recall('EdgeReady', before);
    return hindrance && conditionFalse('CoreWouldForward', hindrance.message);
  }
  switch (readiness.kind) {
    case 'unread':
      return before === undefined
        ? conditionUnknown('NotChecked', 'Edge is checked once the project is found in Core')
        : recall('EdgeReady', before);
    case 'problem':
      return conditionUnknown(readiness.reason, readiness.message);
    case 'observed': {
      if (!isComplete(readiness)) return describeIncomplete(readiness, migration.spec?.projectId ?? 0, rest.handover);
      if (rest.isCopied && !rest.hasOverrides) {
        return conditionFalse('OverridesNotShown', describeOverrides(readiness, migration.status));
      }
      if (hindrance?.kind === 'forwards') return conditionFalse('CoreWouldForward', hindrance.message);
      // Once ready, it stays so as far as is known.
      if (hindrance !== undefined && before?.status !== 'True')
        return conditionUnknown(hindrance.reason, hindrance.message);
      return conditionTrue('Complete', describeComplete(readiness));
    }
  }
}

function describeIncomplete(
  readiness: ObservedReadiness,
  projectId: number,
  handover: HandoverDecision['finding'],
): FindingOf<'EdgeReady'> {
  const { reason, message } = describeMissing(readiness, projectId, handover === undefined);
  if (handover === undefined) return conditionFalse(reason, message);
  return conditionFalse('reason' in handover ? handover.reason : reason, `${message}; ${handover.message}`);
}

/**
 * The marks in the project metadata table, by which Flagsmith's dashboard switches to Edge and Core begins to forward:
 * none before Edge is ready, nor while Core would forward; after that, those that the copy has reached. Writing one
 * twice changes nothing.
 */
export function decideMarks(
  facts: Facts,
  ready: FindingOf<'EdgeReady'> | undefined,
  state: { isCopied: boolean; hasBegun: boolean },
): { admits: (action: Action) => boolean; late: Action[]; nextTime: number | undefined } {
  const isMark = ({ kind }: Action) => kind === 'markStarted' || kind === 'markCompleted';
  const hindrance = findHindrance(facts);
  const isReady = ready === undefined ? facts.readiness === undefined : ready.status === 'True';
  if (hindrance !== undefined || !isReady) {
    const nextTime = nextHindranceCheckTime(facts, hindrance);
    return { admits: (action) => !isMark(action), late: [], nextTime };
  }
  const before = recordedCondition(facts.migration.status.conditions, 'EdgeReady')?.status;
  const isNews = ready === undefined ? before === 'False' : before !== 'True';
  const kept = keepMarks(facts, state);
  if (!isNews) return { ...kept, admits: (action) => kept.late.length === 0 || !isMark(action) };
  const { isCopied, hasBegun } = state;
  const late: Action[] = isCopied ? [{ kind: 'markCompleted' }] : hasBegun ? [{ kind: 'markStarted' }] : [];
  return { ...kept, admits: (action) => !isMark(action), late };
}

/** When to check Edge again; undefined when nothing more would follow from it. */
export function nextEdgeCheckTime(readiness: Facts['readiness']): number | undefined {
  return readiness === undefined || readiness.kind === 'unread' ? undefined : readiness.nextTime;
}
