import {
  type Condition,
  EDGE_MIGRATIONS,
  type EdgeMigration,
  type Status,
} from '@edge-migration/contract/edge-migration/api.ts';
import type { ObservedEvent } from '@edge-migration/kubernetes/event-recorder.ts';
import type { ConditionType } from './conditions.ts';

/** Conditions whose changes tell the story of a migration, and what the operator was doing when they changed. */
const ACTIONS: Partial<Record<ConditionType, string>> = {
  Accepted: 'Validate',
  Copied: 'Copy',
  Verified: 'Compare',
  EdgeReady: 'CheckEdge',
  Suspended: 'Suspend',
  Degraded: 'Reconcile',
  Succeeded: 'Finish',
};

/** What `kubectl describe` shows of a status that was written: one event for each changed condition. */
export function describeChanges(migration: EdgeMigration, after: Status): ObservedEvent[] {
  const before = new Map(migration.status.conditions?.map((condition) => [condition.type, condition]));
  const { namespace, name, uid, resourceVersion } = migration;
  const { group, version, kind } = EDGE_MIGRATIONS;
  const regarding = { apiVersion: `${group}/${version}`, kind, metadata: { namespace, name, uid, resourceVersion } };
  const retry = describeRetry(migration.status, after);
  const events = (after.conditions ?? []).flatMap((condition): ObservedEvent[] => {
    const action = ACTIONS[condition.type as ConditionType];
    const previous = before.get(condition.type);
    const isSame = previous?.status === condition.status && previous.reason === condition.reason;
    if (action === undefined || isSame || isSilent(condition, previous)) return [];
    const type = isWarning(condition) ? 'Warning' : 'Normal';
    const reason = condition.type === 'Degraded' && condition.status === 'False' ? 'Recovered' : condition.reason;
    return [{ type, reason, action, note: condition.message, regarding }];
  });
  if (retry === undefined) return events;
  return [{ type: 'Normal', ...retry, action: 'Retry', regarding }, ...events];
}

/** The outcome of a new `spec.retry`, once it was taken. */
function describeRetry(before: Status, after: Status): { reason: string; note: string } | undefined {
  const token = after.observedRetry;
  if (token === undefined || token === before.observedRetry || before.conditions === undefined) return undefined;
  const taken = `spec.retry ${token}:`;
  if (/^(verify|repair)(-|$)/.test(token)) return { reason: 'Requested', note: `${taken} Core and Edge are compared` };
  const { rangesFailed = 0 } = before.copy ?? {};
  const { eventsParked = 0 } = before.replay ?? {};
  if (rangesFailed > 0) return { reason: 'Retried', note: `${taken} ${rangesFailed} failed ranges are started again` };
  if (eventsParked > 0) return { reason: 'Retried', note: `${taken} ${eventsParked} parked events are retried` };
  const note = `${taken} nothing had failed; to copy again delete the EdgeMigration and apply it again`;
  return { reason: 'NothingToRetry', note };
}

function isWarning({ type, status }: Condition): boolean {
  if (type === 'Degraded') return status === 'True';
  return status === 'False' && (type === 'Accepted' || type === 'Succeeded' || type === 'Verified');
}

/** On the first visit nothing has changed yet except what was asked for, and unknown states are no news. */
function isSilent({ type, status }: Condition, previous: Condition | undefined): boolean {
  const isQuiet = type === 'Degraded' || type === 'Suspended';
  return status === 'Unknown' || (isQuiet && status === 'False' && previous === undefined);
}
