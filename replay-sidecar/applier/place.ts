import type { Migrations } from './migrations.ts';
import type { HoldReason } from './view.ts';

/**
 * Why an event waits. `copying`: until the copy is complete; `overflow`: its project has too many events in hand;
 * `poison`: it failed again and again, or cannot be read, and waits for a new `spec.retry`; `unstorable`: Edge cannot
 * hold what it touched, and it is tried again now and then; `repeat`: it is handled once more when Flagsmith's background
 * tasks are over; `late`: it was handled, and is handled once more when no write that was sent for it before can be
 * carried out any more.
 */
export type ParkReason = HoldReason | 'copying' | 'overflow' | 'poison' | 'unstorable' | 'repeat' | 'late';

/**
 * What is in a subject of the parking stream: `identity.parked.<projectId>.<reason>`, behind it `spec.retry` of what is
 * poison, `<environment id>.<identity id>.<cause>` of what is unstorable, and the time of what is to be repeated.
 */
export interface Place {
  /** 0: unknown; such events are looked at again now and then. */
  readonly projectId: number;
  readonly reason: ParkReason;
  /** `spec.retry` when the event was parked as poison; `-` for none. */
  readonly retry: string;
  /** The identity of an event that is unstorable. */
  readonly identity?: UnstorableIdentity;
  /** Seconds since the epoch: not before then an event goes on that is to be handled again. */
  readonly due?: number;
}

/** An identity of Core that Edge cannot hold, or not as a whole; Core's ids. */
export interface UnstorableIdentity {
  readonly environmentId: number;
  readonly identityId: number;
  /** A reason as in the copy's report of skipped identities. */
  readonly cause: string;
}

export const NO_RETRY = '-';

export function placeSubject({ projectId, reason, retry, identity, due }: Place): string {
  const base = `identity.parked.${projectId}.${reason}`;
  if (identity !== undefined) return `${base}.${identity.environmentId}.${identity.identityId}.${identity.cause}`;
  if (due !== undefined) return `${base}.${due}`;
  return reason === 'poison' ? `${base}.${retry}` : base;
}

export function parsePlace(subject: string): Place | undefined {
  const [, , projectId, reason, ...retry] = subject.split('.');
  if (projectId === undefined || reason === undefined) return undefined;
  const place = { projectId: Number(projectId), reason: reason as ParkReason, retry: retry.join('.') };
  const [environmentId, identityId, cause = ''] = retry;
  if (reason === 'repeat') return { ...place, due: Number(retry[0]) };
  if (reason !== 'unstorable') return place;
  return { ...place, identity: { environmentId: Number(environmentId), identityId: Number(identityId), cause } };
}

/**
 * Whether all that is parked at a place may go on, to be judged anew: applied, dropped or parked for another reason. Events
 * of an unknown project go on one batch after the other instead.
 *
 * @param now what Edge cannot hold is not tried any more once the replay window has closed: Edge is the master then
 */
export function isReleasable(place: Place, migrations: Pick<Migrations, 'judge' | 'find'>, now: number): boolean {
  const { projectId, reason, retry, due } = place;
  // Whatever has become of its migration: what it is about is asked once more.
  if (due !== undefined) return now >= due * 1000;
  if (projectId === 0) return false;
  // As if begun long ago: whether an event came before the deadline is told by itself alone.
  const verdict = migrations.judge(projectId, 0);
  if (verdict.kind === 'drop') return true;
  if (reason === 'overflow' || reason === 'late') return true;
  if (reason === 'poison') return retryOf(migrations, projectId) !== retry;
  if (reason === 'copying') return verdict.kind === 'apply' && !verdict.copying;
  if (reason === 'unstorable') return migrations.judge(projectId, now).kind === 'apply';
  return verdict.kind === 'apply' || verdict.reason !== reason;
}

/** `spec.retry` of a project's EdgeMigration, as it is in a subject. */
export function retryOf(migrations: Pick<Migrations, 'find'>, projectId: number): string {
  return migrations.find(projectId)?.spec?.retry ?? NO_RETRY;
}
