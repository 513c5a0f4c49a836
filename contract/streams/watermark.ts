import { type Clock, type Moment, momentOf } from '@edge-migration/runtime/clock.ts';

/** A message of a stream, by its position. */
export interface StreamPlace {
  readonly sequence: number;
  /** When it was stored, in milliseconds since the epoch by the clock of NATS. */
  readonly time: number;
}

/** The state of a stream, as reported by NATS. */
export interface StreamState {
  /** When the stream was created, as reported by NATS; another time means another stream. */
  readonly created: string;
  /** The last message that it ever stored; if it was removed, its time may be that of an earlier one. */
  readonly last: StreamPlace;
  /** The oldest message; undefined if the stream is empty. */
  readonly oldest: StreamPlace | undefined;
  /** The time of NATS in the response, and the bounds of that moment by the clocks of the asking process. */
  readonly time: number;
  readonly asked: Moment;
  readonly answered: Moment;
}

/** The last sequence of a stream at one check. */
interface Watermark {
  readonly sequence: number;
  /** No message up to the sequence, and above that of the previous check, has a later time than this. */
  readonly time: number;
  /** The time of the message with exactly this sequence, if it is known. */
  readonly stored?: number;
}

/** The last sequences of a stream at several checks, oldest first. */
export interface Watermarks {
  readonly created: string;
  readonly places: readonly Watermark[];
  /** The time of NATS at the last check, and when it was asked; only by the wall clock if another process asked. */
  readonly checked?: { readonly time: number; readonly wall: number; readonly monotonic?: number };
}

/**
 * One check is enough to detect a loss at the next one. More are kept, because the proof of a loss may come later than
 * the next check: in an applier's delivery, or in its report.
 */
const MOST_PLACES = 32;

/**
 * Before a process's first check the clock of NATS may have been ahead of its present time: another server led the
 * stream. Later steps are detected by the previous check.
 */
const UNKNOWN_STEP_MS = 10_000;

/** Without the library's types: the operator and the appliers ask for different parts. */
interface StreamInfoLike {
  readonly created: string;
  readonly ts?: string;
  readonly state: {
    readonly messages: number;
    readonly first_seq: number;
    readonly first_ts: string;
    readonly last_seq: number;
    readonly last_ts: string;
  };
}

/**
 * A response of NATS that has just arrived.
 *
 * @param asked the moment before the request
 */
export function streamStateOf(
  { created, ts, state }: StreamInfoLike,
  asked: Moment,
  clock: Pick<Clock, 'now' | 'monotonic'>,
): StreamState {
  const last = { sequence: state.last_seq, time: Date.parse(state.last_ts) };
  const oldest = state.messages === 0 ? undefined : { sequence: state.first_seq, time: Date.parse(state.first_ts) };
  const time = ts === undefined ? last.time : Date.parse(ts);
  return { created, last, oldest, time, asked, answered: momentOf(clock) };
}

/** Messages have their time in nanoseconds, more of them than a number holds exactly. */
const ROUNDING_MS = 1;

/**
 * Whether a message has another one's sequence: it is not the message that the stream had there, or the stream had
 * already assigned its sequence before it was stored. So the stream has lost its end since, and has assigned the same
 * sequences once more. The last sequence alone does not show that once others have been stored, and handled messages
 * can no longer be read.
 */
export function isRetaken({ places }: Watermarks, { sequence, time }: StreamPlace): boolean {
  const known = places.find((place) => place.sequence >= sequence);
  if (known === undefined) return false;
  const { stored = time } = known;
  const isAnother = known.sequence === sequence && Math.abs(time - stored) > ROUNDING_MS;
  return isAnother || time > known.time + ROUNDING_MS;
}

/**
 * Whether the stream is another one now, or has lost its end. The time that NATS reports for the last message proves
 * nothing: if it was removed, a replica that has caught up since reports another time, or none.
 */
export function hasLost(known: Watermarks, { created, last, oldest }: StreamState): boolean {
  const before = known.places.at(-1)?.sequence ?? 0;
  return created !== known.created || last.sequence < before || (oldest !== undefined && isRetaken(known, oldest));
}

/** Records the stream's state; starts over for another stream, or after a loss. */
export function noteState(known: Watermarks | undefined, state: StreamState): Watermarks {
  const { created, last, oldest, time, asked } = state;
  const checked = { time, ...asked };
  const place = { sequence: last.sequence, ...(last.time > 0 && { stored: last.time }) };
  if (known === undefined || hasLost(known, state)) {
    const latest = Math.max(last.time, time, oldest?.time ?? 0) + UNKNOWN_STEP_MS;
    return { created, checked, places: [{ ...place, time: latest }] };
  }
  // The state at the first check of a sequence is the most informative.
  if (known.places.at(-1)?.sequence === last.sequence) return { ...known, checked };
  const places = [...known.places, { ...place, time: latestSince(known, state) }];
  return { created, checked, places: places.length > MOST_PLACES ? joinFirst(places) : places };
}

/**
 * The latest possible time of a message that was stored between the previous check and this one. The clock of NATS may
 * be set back meanwhile, and that of the next leader may be behind: then the last message does not have the latest
 * time. The oldest message's time is trusted, because it did not prove a loss.
 */
function latestSince({ checked }: Watermarks, { last, oldest, time, answered }: StreamState): number {
  const told = Math.max(last.time, time, oldest?.time ?? 0);
  if (checked === undefined) return told;
  const elapsed = [answered.wall - checked.wall, answered.monotonic - (checked.monotonic ?? answered.monotonic)];
  const latest = Math.max(told, checked.time + Math.max(0, ...elapsed));
  // Another process checked, by another machine's wall clock, which says little about how long ago that was.
  return checked.monotonic === undefined ? latest + UNKNOWN_STEP_MS : latest;
}

/** The first one covers all messages up to it. */
function joinFirst([first, second, ...others]: readonly Watermark[]): Watermark[] {
  return [{ ...second!, time: Math.max(first!.time, second!.time) }, ...others];
}

/** A time range whose events NATS has lost, or may have lost; milliseconds since the epoch. */
export interface Loss {
  readonly from: number;
  readonly until: number;
}

/** Further ones are merged, oldest first: a merged one only claims more. */
const MOST_LOSSES = 16;
/** Several processes find the same loss, one after the other. */
const JOIN_MS = 60_000;

/** The losses, including one more. */
export function joinLoss(losses: readonly Loss[], loss: Loss): Loss[] {
  const isSame = ({ from, until }: Loss) => from <= loss.until + JOIN_MS && loss.from <= until + JOIN_MS;
  const joined = losses.filter(isSame).reduce(span, loss);
  const all = [...losses.filter((one) => !isSame(one)), joined].toSorted((a, b) => a.from - b.from);
  while (all.length > MOST_LOSSES) all.splice(0, 2, span(all[0]!, all[1]!));
  return all;
}

const span = (a: Loss, b: Loss): Loss => ({ from: Math.min(a.from, b.from), until: Math.max(a.until, b.until) });
