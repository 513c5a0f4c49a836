import { hash } from 'node:crypto';
import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import { recordedCondition } from '../edge-migration/conditions.ts';
import type { Refusal } from './event.ts';

/** The state found by an event. */
export interface EventFacts {
  readonly projectId: number;
  /** The project in Core. */
  readonly project: 'found' | 'missing' | 'deleted';
  /** The project's EdgeMigration in the trigger's namespace. */
  readonly migration: EdgeMigration | undefined;
}

/** The decision about an event. */
export type EventDecision =
  | { readonly kind: 'create' }
  /** A plan becomes a migration. */
  | { readonly kind: 'start'; readonly uid: string }
  | { readonly kind: 'retry'; readonly uid: string; readonly token: string }
  /** The migration exists; nothing has to be done. */
  | { readonly kind: 'leave'; readonly state: 'Succeeded' | 'Suspended' | 'UnderWay'; readonly message: string }
  | ({ readonly kind: 'refuse' } & Refusal);

/**
 * Decides how to handle an event. The same event again, or another one for the same project, finds the migration that
 * the first one created: settings that were changed since are kept, and a migration that has succeeded is left alone.
 */
export function decideEvent({ projectId, project, migration }: EventFacts, eventId: string): EventDecision {
  if (project !== 'found') {
    const message = `project ${projectId} ${project === 'missing' ? 'is not in Core' : 'was deleted in Core'}: nothing was done`;
    return { kind: 'refuse', code: 'InvalidArgument', message };
  }
  if (migration === undefined) return { kind: 'create' };
  const { spec, uid, deleting } = migration;
  const name = `EdgeMigration ${migration.namespace}/${migration.name}`;
  if (deleting) {
    const message = `${name} is being deleted: ask again once it is gone`;
    return { kind: 'refuse', code: 'InternalFailure', message };
  }
  if (spec === undefined) {
    const message = `${name} has a spec that is not valid (${migration.specProblem}): correct or delete it`;
    return { kind: 'refuse', code: 'InvalidArgument', message };
  }
  if (spec.mode === 'Plan') return { kind: 'start', uid };
  if (hasSucceeded(migration)) return { kind: 'leave', state: 'Succeeded', message: `${name} has succeeded already` };
  if (hasFailed(migration) && !isRetryPending(migration)) return { kind: 'retry', uid, token: nameToken(eventId) };
  if (spec.suspend) {
    return { kind: 'leave', state: 'Suspended', message: `${name} is suspended: set spec.suspend to false to resume` };
  }
  const accepted = conditionOf(migration, 'Accepted');
  if (accepted?.status !== 'False') return { kind: 'leave', state: 'UnderWay', message: `${name} is under way` };
  // Another EdgeMigration has the project, if it is migrated at all: this one never will.
  if (accepted.reason === 'Duplicate') {
    return { kind: 'refuse', code: 'InvalidArgument', message: `${name} is a duplicate: ${accepted.message}` };
  }
  return { kind: 'leave', state: 'UnderWay', message: `${name} exists, and waits: ${accepted.message}` };
}

const conditionOf = ({ status }: EdgeMigration, type: 'Accepted' | 'Succeeded' | 'Copied') =>
  recordedCondition(status.conditions, type);

/** A plan's success does not count for the migration that it became; the operator has not processed that yet. */
function hasSucceeded(migration: EdgeMigration): boolean {
  const succeeded = conditionOf(migration, 'Succeeded');
  return succeeded?.status === 'True' && succeeded.reason !== 'Planned';
}

/** Permanently, or until the operator's own next attempt, which may be ten minutes away. */
function hasFailed(migration: EdgeMigration): boolean {
  return (
    conditionOf(migration, 'Succeeded')?.status === 'False' ||
    conditionOf(migration, 'Copied')?.reason === 'RangesFailed'
  );
}

/** The operator has not taken the last token yet, which another one would replace. It may have been set by a user. */
const isRetryPending = ({ spec, status }: EdgeMigration) =>
  spec?.retry !== undefined && spec.retry !== status.observedRetry;

/** The same for the same event, however often it is delivered; ids are untrusted text. */
const nameToken = (eventId: string) => `trigger-${hash('sha256', eventId).slice(0, 16)}`;
