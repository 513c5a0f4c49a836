import { isDropToken } from '@edge-migration/operator/edge-migration/retry-token.ts';
import type { Migrations } from './migrations.ts';
import type { HoldReason } from './view.ts';

/**
 * Why an event waits. `copying`: until the copy is complete; `overflow`: its project has too many events in hand;
 * `poison`: it failed again and again, or cannot be read, and waits for a new `spec.retry`; `unstorable`: Edge cannot
 * hold what it touched, and it is tried again now and then; `repeat`: it is handled once more when Flagsmith's background
 * tasks are over; `late`: it was handled, and is handled once more when no write that was sent for it before can be
 * carried out any more; `excess`: no event, but the mark of a minute of which events had no room.
 */
export type ParkReason = HoldReason | 'copying' | 'overflow' | 'poison' | 'unstorable' | 'repeat' | 'late' | 'excess';

/**
 * What is in a subject of the parking stream: `identity.parked.<projectId>.<reason>`, behind it
 * `_<minute>.<KiB>.<spec.retry>` of what is poison, `<environment id>.<identity id>.<cause>.<KiB>` of what is unstorable,
 * the time of what is to be repeated, and the minute of what had no room. So counts by subject tell all that decisions
 * need. Older releases wrote no minutes and sizes.
 */
export interface Place {
  /** 0: unknown; such events are looked at again now and then. */
  readonly projectId: number;
  readonly reason: ParkReason;
  /** `spec.retry` when the event was parked as poison; `-` for none. */
  readonly retry: string;
  /** The identity of an event that is unstorable. */
  readonly identity?: UnstorableIdentity;
  /** Of poison and excess: when the request began, in minutes since the epoch. */
  readonly minute?: number;
  /** Of poison: it began nobody knows when, and came in that minute. */
  readonly isUnreadable?: boolean;
  /** How much an event takes of a quota. */
  readonly kib?: number;
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

/** Of an event that is put aside: why, for people. */
export const REASON_HEADER = 'Edge-Migration-Reason';
export const MINUTE_MILLIS = 60_000;
export const NO_RETRY = '-';

export function placeSubject({ projectId, reason, retry, identity, due, minute, isUnreadable, kib }: Place): string {
  const base = ['identity.parked', projectId, reason];
  if (identity !== undefined) base.push(identity.environmentId, identity.identityId, identity.cause);
  if (reason === 'unstorable' && kib !== undefined) base.push(kib);
  if (reason === 'repeat') base.push(due ?? 0);
  if (reason === 'excess') base.push(minute ?? 0);
  // No spec.retry begins like this.
  if (reason === 'poison' && minute !== undefined) base.push(`_${isUnreadable ? 'u' : ''}${minute}`, kib ?? 1);
  if (reason === 'poison') base.push(retry);
  return base.join('.');
}

const SIZED = /^_(u?)(\d+)\.(\d+)\.(.*)$/;

export function parsePlace(subject: string): Place | undefined {
  const [, , projectId, reason, ...retry] = subject.split('.');
  if (projectId === undefined || reason === undefined) return undefined;
  const place = { projectId: Number(projectId), reason: reason as ParkReason, retry: retry.join('.') };
  if (reason === 'repeat') return { ...place, due: Number(retry[0]) };
  if (reason === 'excess') return { ...place, minute: Number(retry[0]) };
  if (reason === 'poison') {
    const [, unreadable, minute, kib, token = ''] = SIZED.exec(place.retry) ?? [];
    if (minute === undefined) return place;
    const isUnreadable = unreadable !== '';
    return { ...place, minute: Number(minute), isUnreadable, kib: Number(kib), retry: token };
  }
  if (reason !== 'unstorable') return place;
  const [environmentId, identityId, cause = '', kib] = retry;
  const identity = { environmentId: Number(environmentId), identityId: Number(identityId), cause };
  return { ...place, identity, ...(kib !== undefined && { kib: Number(kib) }) };
}

/**
 * Whether all that is parked at a place may go on, to be judged anew: applied, dropped or parked for another reason. Events
 * of an unknown project go on one batch after the other instead.
 *
 * @param now what Edge cannot hold is not tried any more once the replay window has closed: Edge is the master then
 */
export function isReleasable(place: Place, migrations: Pick<Migrations, 'judge' | 'find'>, now: number): boolean {
  const { projectId, reason, due } = place;
  // Whatever has become of its migration: what it is about is asked once more.
  if (due !== undefined) return now >= due * 1000;
  if (projectId === 0 || reason === 'excess') return false;
  // As if begun long ago: whether an event came before the deadline is told by itself alone.
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
 * How many events of a place are brought back at once: events of up to 64 identities that Edge cannot hold are, at the same
 * time, and a client decides how large each is.
 */
export function batchOf({ kib = 1 }: Pick<Place, 'kib'>): number {
  return Math.max(1, Math.min(MOST_EVENTS, Math.floor(MOST_KIB / kib)));
}

/**
 * What is to be given up stays where the operator can see it, which makes a gap of it. An older release did not write down
 * when it began: that is known once it has been put aside anew.
 */
function isTriedAgain({ retry, minute }: Place, wanted: string): boolean {
  return wanted !== retry && (minute === undefined || !isDropToken(wanted));
}

/** `spec.retry` of a project's EdgeMigration, as it is in a subject. */
export function retryOf(migrations: Pick<Migrations, 'find'>, projectId: number): string {
  return migrations.find(projectId)?.spec?.retry ?? NO_RETRY;
}
