import type { Action } from '../actions.ts';
import { type FindingOf, findCondition, isFalse, isTrue, isUnknown, recall } from '../conditions.ts';
import type { Facts } from '../facts.ts';
import { describeComplete, describeMissing, describeOverrides } from './describe.ts';
import { isComplete, type ObservedReadiness } from './facts.ts';
import type { HandoverDecision } from './handover.ts';

/** What the rest of the decision says that matters here. */
interface Rest {
  /** What is to be said of the hand-over. */
  handover: HandoverDecision['finding'];
  /** The copy is complete. */
  isCopied: boolean;
  /** As far as anything has shown, every override that was copied has its row. */
  hasOverrides: boolean;
}

/** The finding for condition `EdgeReady`; undefined where no table is configured that could be looked at. */
export function decideReadiness(
  { migration, readiness }: Pick<Facts, 'migration' | 'readiness'>,
  rest: Rest,
): FindingOf<'EdgeReady'> | undefined {
  if (readiness === undefined) return undefined;
  const before = findCondition(migration.status.conditions, 'EdgeReady');
  switch (readiness.kind) {
    case 'unread':
      return before === undefined
        ? isUnknown('NotLookedAt', 'Edge is looked at when the project is found in Core')
        : recall('EdgeReady', before);
    case 'problem':
      return isUnknown(readiness.reason, readiness.message);
    case 'observed':
      if (!isComplete(readiness)) return describeIncomplete(readiness, migration.spec?.projectId ?? 0, rest.handover);
      return rest.isCopied && !rest.hasOverrides
        ? isFalse('OverridesNotShown', describeOverrides(readiness, migration.status))
        : isTrue('Complete', describeComplete(readiness));
  }
}

function describeIncomplete(
  readiness: ObservedReadiness,
  projectId: number,
  handover: HandoverDecision['finding'],
): FindingOf<'EdgeReady'> {
  const { reason, message } = describeMissing(readiness, projectId, handover === undefined);
  if (handover === undefined) return isFalse(reason, message);
  return isFalse('reason' in handover ? handover.reason : reason, `${message}; ${handover.message}`);
}

/**
 * The marks in the project metadata table, by which Flagsmith's dashboard goes over to Edge: none before Edge is ready;
 * once it is, those that the copy has come to. Writing one twice changes nothing.
 */
export function decideMarks(
  { migration, readiness }: Pick<Facts, 'migration' | 'readiness'>,
  ready: FindingOf<'EdgeReady'> | undefined,
  { isCopied, hasBegun }: { isCopied: boolean; hasBegun: boolean },
): { admits: (action: Action) => boolean; late: Action[] } {
  const isMark = ({ kind }: Action) => kind === 'markStarted' || kind === 'markCompleted';
  if (readiness === undefined) return { admits: () => true, late: [] };
  if (ready?.status !== 'True') return { admits: (action) => !isMark(action), late: [] };
  const isNews = findCondition(migration.status.conditions, 'EdgeReady')?.status !== 'True';
  if (!isNews) return { admits: () => true, late: [] };
  const late: Action[] = isCopied ? [{ kind: 'markCompleted' }] : hasBegun ? [{ kind: 'markStarted' }] : [];
  return { admits: (action) => !isMark(action), late };
}

/** When Edge is to be looked at again; undefined when nothing more would follow from it. */
export function whenToLookAtEdge(readiness: Facts['readiness']): number | undefined {
  return readiness === undefined || readiness.kind === 'unread' ? undefined : readiness.nextTime;
}
