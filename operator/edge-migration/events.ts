import type { ObservedEvent } from '../kubernetes/event-recorder.ts';
import { type Condition, EDGE_MIGRATIONS, type EdgeMigration, type Status } from './api.ts';
import type { ConditionType } from './conditions.ts';

/** Conditions whose changes are the story of a migration, and what the operator was doing when they changed. */
const ACTIONS: Partial<Record<ConditionType, string>> = {
  Accepted: 'Validate',
  Copied: 'Copy',
  Suspended: 'Suspend',
  Degraded: 'Reconcile',
  Succeeded: 'Finish',
};

/** What `kubectl describe` shows of a status that was written: one event for each condition that changed. */
export function describeChanges(migration: EdgeMigration, after: Status): ObservedEvent[] {
  const before = new Map(migration.status.conditions?.map((condition) => [condition.type, condition]));
  const { namespace, name, uid, resourceVersion } = migration;
  const { group, version, kind } = EDGE_MIGRATIONS;
  const regarding = { apiVersion: `${group}/${version}`, kind, metadata: { namespace, name, uid, resourceVersion } };
  return (after.conditions ?? []).flatMap((condition) => {
    const action = ACTIONS[condition.type as ConditionType];
    const previous = before.get(condition.type);
    const isSame = previous?.status === condition.status && previous.reason === condition.reason;
    if (action === undefined || isSame || isSilent(condition, previous)) return [];
    const type = isWarning(condition) ? 'Warning' : 'Normal';
    const reason = condition.type === 'Degraded' && condition.status === 'False' ? 'Recovered' : condition.reason;
    return [{ type, reason, action, note: condition.message, regarding } as const];
  });
}

function isWarning({ type, status }: Condition): boolean {
  if (type === 'Degraded') return status === 'True';
  return status === 'False' && (type === 'Accepted' || type === 'Succeeded');
}

/** On the first visit nothing has changed yet but what was asked for; not knowing is no news at all. */
function isSilent({ type, status }: Condition, previous: Condition | undefined): boolean {
  const isQuiet = type === 'Degraded' || type === 'Suspended';
  return status === 'Unknown' || (isQuiet && status === 'False' && previous === undefined);
}
