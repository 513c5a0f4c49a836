import { type Clock, type Moment, momentOf } from '@edge-migration/runtime/clock.ts';

/** A message of a stream, by its place in it. */
export interface StreamPlace {
  readonly sequence: number;
  /** When it was stored, in milliseconds since the epoch by the clock of NATS. */
  readonly time: number;
}

/** What a stream says of itself. */
export interface StreamState {
  /** When the stream was made, as NATS reports it; another one means another stream. */
  readonly created: string;
  /** The last message that it ever took; the time of one that is gone may be that of one before it, or long ago. */
  readonly last: StreamPlace;
  /** The oldest that it has; undefined when it is empty. */
  readonly oldest: StreamPlace | undefined;
  /** The time of NATS when it answered, and the moments around that by the clocks of the process that asked. */
  readonly time: number;
  readonly asked: Moment;
  readonly answered: Moment;
}

/** How far a stream was at one look. */
interface Watermark {
  readonly sequence: number;
  /** No message up to the sequence, and behind that of the look before, has a later time than this. */
  readonly time: number;
  /** The time of the message with this very sequence, where it is known. */
  readonly stored?: number;
}

/** How far a stream was at several looks, oldest first. */
export interface Watermarks {
  readonly created: string;
  readonly places: readonly Watermark[];
  /** The time of NATS at the last look, and when that was asked for; by the wall clock alone if another process did. */
  readonly looked?: { readonly time: number; readonly wall: number; readonly monotonic?: number };
}

/**
 * One look is enough to find a loss at the next one. More are kept, because what proves a loss may come later than the next
 * look: in an applier's hands, or in its report.
 */
const MOST_PLACES = 32;

/**
 * Before a process's first look the clock of NATS may have been ahead of what it is now: another server led the stream. Later
 * steps are told by what the look before says.
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
 * An answer of NATS that has just come.
 *
 * @param asked the moment before the question
 */
export function stateOf(
  { created, ts, state }: StreamInfoLike,
  asked: Moment,
  clock: Pick<Clock, 'now' | 'monotonic'>,
): StreamState {
  const last = { sequence: state.last_seq, time: Date.parse(state.last_ts) };
  const oldest = state.messages === 0 ? undefined : { sequence: state.first_seq, time: Date.parse(state.first_ts) };
  const time = ts === undefined ? last.time : Date.parse(ts);
  return { created, last, oldest, time, asked, answered: momentOf(clock) };
}

/** Messages tell their time in nanoseconds, more of them than a number holds exactly. */
const ROUNDING_MS = 1;

/**
 * Whether a message has a place that was another one's: it is not the message that the stream had there, or the stream had
 * given its sequence before the time when it was stored. So the stream has lost its end since, and has given the same
 * sequences once more. A sequence alone does not tell that once others have been stored, and handled messages are no
 * longer there to be asked for.
 */
export function isRetaken({ places }: Watermarks, { sequence, time }: StreamPlace): boolean {
  const known = places.find((place) => place.sequence >= sequence);
  if (known === undefined) return false;
  const { stored = time } = known;
  const isAnother = known.sequence === sequence && Math.abs(time - stored) > ROUNDING_MS;
  return isAnother || time > known.time + ROUNDING_MS;
}

/**
 * Whether the stream is another one now, or has lost its end. The time that NATS tells of the last message proves nothing: of
 * one that is handled, a replica that has caught up since tells another time, or none.
 */
export function hasLost(known: Watermarks, { created, last, oldest }: StreamState): boolean {
  const before = known.places.at(-1)?.sequence ?? 0;
  return created !== known.created || last.sequence < before || (oldest !== undefined && isRetaken(known, oldest));
}

/** Takes note of how far the stream is now; of another stream, or after a loss, from the beginning. */
export function noteState(known: Watermarks | undefined, state: StreamState): Watermarks {
  const { created, last, oldest, time, asked } = state;
  const looked = { time, ...asked };
  const place = { sequence: last.sequence, ...(last.time > 0 && { stored: last.time }) };
  if (known === undefined || hasLost(known, state)) {
    const latest = Math.max(last.time, time, oldest?.time ?? 0) + UNKNOWN_STEP_MS;
    return { created, looked, places: [{ ...place, time: latest }] };
  }
  // What was known at the first look of a sequence tells most.
  if (known.places.at(-1)?.sequence === last.sequence) return { ...known, looked };
  const places = [...known.places, { ...place, time: latestSince(known, state) }];
  return { created, looked, places: places.length > MOST_PLACES ? joinFirst(places) : places };
}

/**
 * The latest time that a message can have which was stored between the last look and this one. The clock of NATS may be
 * set back meanwhile, and that of the next leader be behind: then the last message has not the latest time. The oldest one
 * is taken at its word, because it did not prove a loss.
 */
function latestSince({ looked }: Watermarks, { last, oldest, time, answered }: StreamState): number {
  const told = Math.max(last.time, time, oldest?.time ?? 0);
  if (looked === undefined) return told;
  const elapsed = [answered.wall - looked.wall, answered.monotonic - (looked.monotonic ?? answered.monotonic)];
  const latest = Math.max(told, looked.time + Math.max(0, ...elapsed));
  // Another process looked, by the wall clock of another machine, which says little of how long ago that was.
  return looked.monotonic === undefined ? latest + UNKNOWN_STEP_MS : latest;
}

/** The first one is about all messages up to it. */
function joinFirst([first, second, ...others]: readonly Watermark[]): Watermark[] {
  return [{ ...second!, time: Math.max(first!.time, second!.time) }, ...others];
}

/** A time range whose events NATS has lost, or may have; milliseconds since the epoch. */
export interface Loss {
  readonly from: number;
  readonly until: number;
}

/** More are joined, oldest first: a joined one only claims more. */
const MOST_LOSSES = 16;
/** One loss is found by several, one after the other. */
const JOIN_MS = 60_000;

/** The losses with one more. */
export function joinLoss(losses: readonly Loss[], loss: Loss): Loss[] {
  const isSame = ({ from, until }: Loss) => from <= loss.until + JOIN_MS && loss.from <= until + JOIN_MS;
  const joined = losses.filter(isSame).reduce(span, loss);
  const all = [...losses.filter((one) => !isSame(one)), joined].toSorted((a, b) => a.from - b.from);
  while (all.length > MOST_LOSSES) all.splice(0, 2, span(all[0]!, all[1]!));
  return all;
}

const span = (a: Loss, b: Loss): Loss => ({ from: Math.min(a.from, b.from), until: Math.max(a.until, b.until) });
