import { isDropToken } from '@edge-migration/contract/edge-migration/retry-token.ts';
import { NO_RETRY, type ParkedSubject } from '@edge-migration/contract/parked-place.ts';
import type { MigrationView } from '../admit/migrations.ts';

/**
 * Whether everything parked at a place may go on, to be judged again: applied, dropped or parked for another reason.
 * Events of an unknown project go on batch by batch instead.
 *
 * @param now what Edge cannot hold is no longer retried once the replay window has closed: Edge is the authority then
 */
export function isReleasable(
  place: ParkedSubject,
  migrations: Pick<MigrationView, 'judge' | 'find'>,
  now: number,
): boolean {
  const { projectId, reason, due } = place;
  // Regardless of its migration: the project is resolved again.
  if (due !== undefined) return now >= due * 1000;
  if (projectId === 0 || reason === 'excess') return false;
  // As if begun long ago: only an event itself shows whether it came before the deadline.
  const verdict = migrations.judge(projectId, 0);
  if (verdict.kind === 'drop') return true;
  if (reason === 'overflow' || reason === 'late') return true;
  if (reason === 'poison') return isTriedAgain(place, retryOf(migrations, projectId));
  if (reason === 'copying') return verdict.kind === 'apply' && !verdict.copying;
  if (reason === 'unstorable') return migrations.judge(projectId, now).kind === 'apply';
  return verdict.kind === 'apply' || verdict.reason !== reason;
}

const MOST_EVENTS = 256;
const MOST_KIB = 1024;

/**
 * How many events of a place are brought back at once: events of up to 64 identities that Edge cannot hold come at the
 * same time, and a client decides how large each is.
 */
export function batchOf({ kib = 1 }: Pick<ParkedSubject, 'kib'>): number {
  return Math.max(1, Math.min(MOST_EVENTS, Math.floor(MOST_KIB / kib)));
}

/**
 * An event to be given up stays where the operator can see it and make a gap of it. An older release did not record
 * when it began: that is known once it has been parked again.
 */
function isTriedAgain({ retry, minute }: ParkedSubject, wanted: string): boolean {
  return wanted !== retry && (minute === undefined || !isDropToken(wanted));
}

/** `spec.retry` of a project's EdgeMigration, as it is in a subject. */
export function retryOf(migrations: Pick<MigrationView, 'find'>, projectId: number): string {
  return migrations.find(projectId)?.spec?.retry ?? NO_RETRY;
}

/** An event that is unreadable or whose project is unknown. */
export const isUnresolved = ({ projectId, reason }: Pick<ParkedSubject, 'projectId' | 'reason'>): boolean =>
  projectId === 0 && reason === 'poison';
