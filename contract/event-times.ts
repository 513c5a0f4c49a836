/**
 * When a sidecar sent an event, by the clock that the event's own times are of: milliseconds since the epoch. With the
 * stream's time of the message it tells how far that clock is from the stream's.
 */
export const SENT_HEADER = 'Edge-Migration-Sent';

/** Of an event that has been in the stream before: when that stored it first. Milliseconds since the epoch. */
export const STORED_HEADER = 'Edge-Migration-Stored';

/** Milliseconds since the epoch. */
export interface EventTimes {
  readonly began: number;
  readonly observed: number;
}

/**
 * When a request began and when its end was seen, by the stream's clock (docs/design.md, "Time"). The message was stored
 * after it was sent, but nobody knows how long after. So each time is taken in the direction that costs no write: a
 * request rather began before the deadline than after it, and is rather handled again too late than too early. None of it
 * happened after the stream had the event.
 *
 * @param sent by the clock of the event's own times; undefined in events of older sidecars and of appliers, whose times
 *   are the stream's already
 * @param stored when the stream had it first
 */
export function readTimes({ began, observed }: EventTimes, sent: number | undefined, stored: number): EventTimes {
  const behind = sent === undefined ? 0 : stored - sent;
  const ended = Math.min(observed + Math.max(0, behind), stored);
  return { began: Math.min(began + Math.min(0, behind), ended), observed: ended };
}

/** A time in a header; undefined when there is none, or nothing that a time can be. */
export function parseTime(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}
