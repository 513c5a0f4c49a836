import type { StreamReport } from '@edge-migration/contract/reports/applier.ts';
import {
  hasLost,
  isRetaken,
  joinLoss,
  type Loss,
  noteState,
  type StreamPlace,
  type StreamState,
  type Watermarks,
} from '@edge-migration/contract/streams/watermark.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import type { PubAck } from '@nats-io/jetstream';

/** What this process knows of a stream, and the losses that this proves (docs/design.md, "Losses in NATS"). */
export interface Witness {
  /** Notes how far the stream is now. */
  observe(state: StreamState): void;
  /** Notes a message that was delivered. */
  see(place: StreamPlace): void;
  /** To be called before a message is published; the function takes the stream's answer. */
  publishing(): (answer: Pick<PubAck, 'seq' | 'duplicate'>) => void;
  /** For the operator; undefined until the first check of the stream. */
  report(): StreamReport | undefined;
}

export interface WitnessOptions {
  stream: string;
  /** By the stream's clock, milliseconds since the epoch. */
  now(): number;
  /** Something is gone, or was answered in the wrong place. */
  onLoss(): void;
  logger: Logger;
}

const NOTHING_BEYOND: StreamPlace = { sequence: 0, time: Number.NEGATIVE_INFINITY };

/** The lowest sequence is kept of the messages stored within each interval of this length. */
const WHILE_MS = 1000;
/** Number of newest intervals kept. */
const MOST_PLACES = 120;

export function createWitness({ stream, now, onLoss, logger }: WitnessOptions): Witness {
  let known: Watermarks | undefined;
  let created: string | undefined;
  /** Of messages that were delivered and are behind the last check: the latest time, and the highest sequence. */
  let beyond = NOTHING_BEYOND;
  let losses: readonly Loss[] = [];
  /** By the number of the interval. */
  const seen = new Map<number, StreamPlace>();
  /** Answers that were on their way when a loss was found prove nothing more. */
  let found = 0;

  /** @param sequence the lowest that is known to be gone */
  function lose(sequence: number): void {
    const before = known?.places.findLast((place) => place.sequence < sequence) ?? known?.places[0];
    losses = joinLoss(losses, { from: before?.stored ?? before?.time ?? now(), until: now() });
    logger.error({ stream, sequence }, 'NATS has lost events that it had acknowledged');
    known = undefined;
    found += 1;
    onLoss();
  }

  function keep(place: StreamPlace): void {
    const number = Math.floor(place.time / WHILE_MS);
    const lowest = seen.get(number);
    if (lowest === undefined || place.sequence < lowest.sequence) seen.set(number, place);
    if (seen.size > MOST_PLACES) seen.delete(Math.min(...seen.keys()));
  }

  return {
    observe(state) {
      if (known !== undefined && hasLost(known, state)) lose(state.last.sequence + 1);
      if (created !== undefined && created !== state.created) {
        seen.clear();
        beyond = NOTHING_BEYOND;
      }
      created = state.created;
      known = noteState(known, { ...state, time: Math.max(state.time, beyond.time) });
      if (beyond.sequence <= state.last.sequence) beyond = NOTHING_BEYOND;
    },
    see(place) {
      keep(place);
      const isBeyond = place.sequence > (known?.places.at(-1)?.sequence ?? 0);
      if (isBeyond)
        beyond = {
          sequence: Math.max(beyond.sequence, place.sequence),
          time: Math.max(beyond.time, place.time),
        };
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
