import type { HoldReason } from './edge-migration/verdict.ts';

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
/** Parked events are known to the minute in which their requests began. */
export const MINUTE_MS = 60_000;
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
