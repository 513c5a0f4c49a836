import type { HoldReason } from './edge-migration/verdict.ts';

/**
 * Why an event is parked. `copying`: until the copy is complete; `overflow`: its project has too many events in flight;
 * `poison`: it failed repeatedly, or cannot be read, and waits for a new `spec.retry`; `unstorable`: Edge cannot hold
 * what it touched, and it is retried from time to time; `repeat`: it is handled once more when Flagsmith's background
 * tasks are over; `late`: it was handled, and is handled once more when no earlier write for it can still be executed;
 * `excess`: not an event, but the marker of a minute whose events found no room.
 */
export type ParkReason = HoldReason | 'copying' | 'overflow' | 'poison' | 'unstorable' | 'repeat' | 'late' | 'excess';

/**
 * The content of a subject of the parking stream: `identity.parked.<projectId>.<reason>`, followed by
 * `_<minute>.<KiB>.<spec.retry>` for poison, `<environment id>.<identity id>.<cause>.<KiB>` for unstorable,
 * `<time>.<minute>` for repeat, and the minute for excess. So counts by subject contain everything that decisions need.
 * Older releases wrote no minutes and sizes.
 */
export interface ParkedSubject {
  /** 0: unknown; such events are resolved again from time to time. */
  readonly projectId: number;
  readonly reason: ParkReason;
  /** `spec.retry` when the event was parked as poison; `-` if there was none. */
  readonly retry: string;
  /** The identity of an unstorable event. */
  readonly identity?: UnstorableIdentity;
  /**
   * For poison, repeat and excess, in minutes since the epoch: when the request began. For repeat it is no later than the
   * minute in which the event was stored.
   */
  readonly minute?: number;
  /** For poison: the beginning is unknown, and it arrived in that minute. */
  readonly isUnreadable?: boolean;
  /** The part of a quota that an event uses. */
  readonly kib?: number;
  /** Seconds since the epoch, before which an event that is to be handled again is not released. */
  readonly due?: number;
}

/** An identity of Core that Edge cannot hold, or only in part; Core's ids. */
export interface UnstorableIdentity {
  readonly environmentId: number;
  readonly identityId: number;
  /** A reason as in the copy's report of skipped identities. */
  readonly cause: string;
}

/** Why an event is parked, in human-readable form. */
export const REASON_HEADER = 'Edge-Migration-Reason';
/** Parked events are known to the minute in which their requests began. */
export const MINUTE_MS = 60_000;
export const NO_RETRY = '-';

export function placeSubject({
  projectId,
  reason,
  retry,
  identity,
  due,
  minute,
  isUnreadable,
  kib,
}: ParkedSubject): string {
  const base = ['identity.parked', projectId, reason];
  if (identity !== undefined) base.push(identity.environmentId, identity.identityId, identity.cause);
  if (reason === 'unstorable' && kib !== undefined) base.push(kib);
  if (reason === 'repeat') base.push(due ?? 0, ...(minute === undefined ? [] : [minute]));
  if (reason === 'excess') base.push(minute ?? 0);
  // No spec.retry starts with this.
  if (reason === 'poison' && minute !== undefined) base.push(`_${isUnreadable ? 'u' : ''}${minute}`, kib ?? 1);
  if (reason === 'poison') base.push(retry);
  return base.join('.');
}

const SIZED = /^_(u?)(\d+)\.(\d+)\.(.*)$/;

export function parsePlace(subject: string): ParkedSubject | undefined {
  const [, , projectId, reason, ...retry] = subject.split('.');
  if (projectId === undefined || reason === undefined) return undefined;
  const place = { projectId: Number(projectId), reason: reason as ParkReason, retry: retry.join('.') };
  if (reason === 'repeat') return { ...place, due: Number(retry[0]), ...(retry[1] && { minute: Number(retry[1]) }) };
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
