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
  /** The last message that it ever took. */
  readonly last: StreamPlace;
  /** The oldest that it has; undefined when it is empty. */
  readonly oldest: StreamPlace | undefined;
}

/** How far a stream was at several times, oldest first: no message up to a sequence was stored after its time. */
export interface Watermarks {
  readonly created: string;
  readonly places: readonly StreamPlace[];
}

/**
 * One look is enough to find a loss at the next one. More are kept, because what proves a loss may come later than the next
 * look: in an applier's hands, or in its report.
 */
const MOST_PLACES = 32;

/** Without the library's types: the operator and the appliers ask for different parts. */
interface StreamInfoLike {
  readonly created: string;
  readonly state: {
    readonly messages: number;
    readonly first_seq: number;
    readonly first_ts: string;
    readonly last_seq: number;
    readonly last_ts: string;
  };
}

export function stateOf({ created, state }: StreamInfoLike): StreamState {
  const oldest = state.messages === 0 ? undefined : { sequence: state.first_seq, time: Date.parse(state.first_ts) };
  return { created, last: { sequence: state.last_seq, time: Date.parse(state.last_ts) }, oldest };
}

/** Messages tell their time in nanoseconds, more of them than a number holds exactly. */
const ROUNDING_MILLISECONDS = 1;

/**
 * Whether a message has a place that was another one's: the stream had given its sequence before the time when it was
 * stored. So the stream has lost its end since, and has given the same sequences once more. A sequence alone does not tell
 * that once others have been stored, and handled messages are no longer there to be asked for.
 */
export function isRetaken({ places }: Watermarks, { sequence, time }: StreamPlace): boolean {
  const last = places.at(-1);
  if (last === undefined || sequence > last.sequence) return false;
  const known = places.find((place) => place.sequence >= sequence);
  return known !== undefined && time > known.time + ROUNDING_MILLISECONDS;
}

/** Whether the stream is another one now, or has lost its end. */
export function hasLost(known: Watermarks, { created, last, oldest }: StreamState): boolean {
  const before = known.places.at(-1)?.sequence ?? 0;
  return (
    created !== known.created ||
    last.sequence < before ||
    isRetaken(known, last) ||
    (oldest !== undefined && isRetaken(known, oldest))
  );
}

/** Takes note of how far the stream is now; of another stream, or after a loss, from the beginning. */
export function noteState(known: Watermarks | undefined, state: StreamState): Watermarks {
  const { created, last } = state;
  if (known === undefined || hasLost(known, state)) return { created, places: [last] };
  const before = known.places.at(-1);
  if (before?.sequence === last.sequence) return known;
  // The clock of NATS may be set back, and that of the next leader be behind.
  const place = { sequence: last.sequence, time: Math.max(last.time, before?.time ?? last.time) };
  return { created, places: [...known.places, place].slice(-MOST_PLACES) };
}

/** A time range whose events NATS has lost, or may have; milliseconds since the epoch. */
export interface Loss {
  readonly from: number;
  readonly until: number;
}

/** More are joined, oldest first: a joined one only claims more. */
const MOST_LOSSES = 16;
/** One loss is found by several, one after the other. */
const JOIN_MILLISECONDS = 60_000;

/** The losses with one more. */
export function joinLoss(losses: readonly Loss[], loss: Loss): Loss[] {
  const isSame = ({ from, until }: Loss) =>
    from <= loss.until + JOIN_MILLISECONDS && loss.from <= until + JOIN_MILLISECONDS;
  const joined = losses.filter(isSame).reduce(span, loss);
  const all = [...losses.filter((one) => !isSame(one)), joined].toSorted((a, b) => a.from - b.from);
  while (all.length > MOST_LOSSES) all.splice(0, 2, span(all[0]!, all[1]!));
  return all;
}

const span = (a: Loss, b: Loss): Loss => ({ from: Math.min(a.from, b.from), until: Math.max(a.until, b.until) });
