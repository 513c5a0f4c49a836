/**
 * When a sidecar sent an event, by the clock of the event's own times: milliseconds since the epoch. Compared with the
 * stream's time of the message it shows how far that clock is from the stream's.
 */
export const SENT_HEADER = 'Edge-Migration-Sent';

/** For an event that was in the stream before: when the stream first stored it. Milliseconds since the epoch. */
export const STORED_HEADER = 'Edge-Migration-Stored';

/** Milliseconds since the epoch. */
export interface EventTimes {
  readonly began: number;
  readonly observed: number;
}

/**
 * When a request began and when its end was seen, by the stream's clock (docs/design.md, "Time"). The message was
 * stored at an unknown time after it was sent, so each time is rounded in the direction that loses no write: a request
 * is assumed to have begun before the deadline, and is handled again later rather than earlier. Neither time is after
 * the stream stored the event.
 *
 * @param sent by the clock of the event's own times; undefined in events of older sidecars and of appliers, whose times
 * already use the stream's clock
 * @param stored when the stream first stored it
 */
export function readTimes({ began, observed }: EventTimes, sent: number | undefined, stored: number): EventTimes {
  const behind = sent === undefined ? 0 : stored - sent;
  const ended = Math.min(observed + Math.max(0, behind), stored);
  return { began: Math.min(began + Math.min(0, behind), ended), observed: ended };
}

/** A time in a header; undefined if there is none, or if it is not a valid time. */
export function parseHeaderTime(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}
