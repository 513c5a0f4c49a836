import type { Logger } from '@edge-migration/identity/logger.ts';
import type { PubAck } from '@nats-io/jetstream';
import {
  hasLost,
  isRetaken,
  joinLoss,
  type Loss,
  noteState,
  type StreamPlace,
  type StreamState,
  type Watermarks,
} from '../watermark.ts';
import type { StreamReport } from './report.ts';

/** What this process knows of a stream, and what that proves of losses (docs/design.md, "What NATS loses"). */
export interface Witness {
  /** How far the stream is now. */
  look(state: StreamState): void;
  /** A message that was delivered. */
  see(place: StreamPlace): void;
  /** To be called before a message is published; the function takes the stream's answer. */
  publishing(): (answer: Pick<PubAck, 'seq' | 'duplicate'>) => void;
  /** For the operator; undefined until the stream was looked at. */
  report(): StreamReport | undefined;
}

export interface WitnessOptions {
  stream: string;
  /** By the stream's clock, milliseconds since the epoch. */
  now(): number;
  /** Something is gone, or was answered in the wrong place. */
  onLoss(): void;
  log: Logger;
}

/** Of messages that were stored within so long the lowest sequence is kept. */
const WHILE_MILLIS = 1000;
/** Of the newest of these whiles. */
const MOST_PLACES = 120;

export function createWitness({ stream, now, onLoss, log }: WitnessOptions): Witness {
  let known: Watermarks | undefined;
  let created: string | undefined;
  /**
   * When the newest message that was delivered was stored. The clock of NATS may be set back, or that of the next leader be
   * behind: then the last message of the stream is not its newest, and those before it would look like a loss for ever.
   */
  let newest = 0;
  let losses: readonly Loss[] = [];
  /** By the number of the while. */
  const seen = new Map<number, StreamPlace>();
  /** Answers that were on their way when a loss was found prove nothing more. */
  let found = 0;

  /** @param sequence the lowest that is known to be gone */
  function lose(sequence: number): void {
    const before = known?.places.findLast((place) => place.sequence < sequence) ?? known?.places[0];
    losses = joinLoss(losses, { from: before?.time ?? now(), until: now() });
    log.error({ stream, sequence }, 'NATS has lost events that it had acknowledged');
    known = undefined;
    found += 1;
    onLoss();
  }

  function keep(place: StreamPlace): void {
    const number = Math.floor(place.time / WHILE_MILLIS);
    const lowest = seen.get(number);
    if (lowest === undefined || place.sequence < lowest.sequence) seen.set(number, place);
    if (seen.size > MOST_PLACES) seen.delete(Math.min(...seen.keys()));
  }

  return {
    look(state) {
      if (known !== undefined && hasLost(known, state)) lose(state.last.sequence + 1);
      if (created !== undefined && created !== state.created) {
        seen.clear();
        newest = 0;
      }
      created = state.created;
      const isFurther = state.last.sequence > (known?.places.at(-1)?.sequence ?? -1);
      const time = isFurther ? Math.max(state.last.time, newest) : state.last.time;
      known = noteState(known, { ...state, last: { ...state.last, time } });
    },
    see(place) {
      keep(place);
      newest = Math.max(newest, place.time);
      if (known !== undefined && isRetaken(known, place)) lose(place.sequence);
    },
    publishing() {
      const before = known?.places.at(-1)?.sequence ?? 0;
      const then = found;
      return ({ seq, duplicate }) => {
        if (!duplicate && seq <= before && found === then) lose(seq);
      };
    },
    report() {
      if (created === undefined) return undefined;
      const iso = (time: number) => new Date(time).toISOString();
      return {
        stream,
        created,
        places: [...seen.values()].map(({ sequence, time }) => ({ sequence, time: iso(time) })),
        losses: losses.map(({ from, until }) => ({ from: iso(from), until: iso(until) })),
      };
    },
  };
}
