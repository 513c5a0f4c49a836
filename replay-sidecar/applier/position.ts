import { type Clock, momentOf } from '@edge-migration/identity/clock.ts';
import { STREAM } from '@edge-migration/identity/write-event.ts';
import type { JetStreamManager } from '@nats-io/jetstream';
import type { StoreClock } from '../store-clock.ts';
import { stateOf } from '../watermark.ts';
import type { Position } from './report.ts';
import { findConsumer } from './streams.ts';
import type { Witness } from './witness.ts';

/** Where the shared consumer is in the stream of events, as last asked. */
export interface PositionTracker {
  readonly current: Position | undefined;
  /** Messages that nobody has got yet, as far as known. */
  pending(): number;
  refresh(manager: JetStreamManager): Promise<void>;
}

export function createPositionTracker(
  store: Pick<StoreClock, 'notice'>,
  witness: Pick<Witness, 'look'>,
  clock: Clock,
): PositionTracker {
  let current: Position | undefined;
  return {
    get current() {
      return current;
    },
    pending: () => current?.pending ?? 0,
    async refresh(manager) {
      current = await readPosition(manager, store, witness, clock);
    },
  };
}

async function readPosition(
  manager: JetStreamManager,
  store: Pick<StoreClock, 'notice'>,
  witness: Pick<Witness, 'look'>,
  clock: Clock,
): Promise<Position | undefined> {
  const asked = momentOf(clock);
  const info = await manager.streams.info(STREAM);
  const { created, state } = info;
  store.notice(info.ts);
  witness.look(stateOf(info, asked, clock));
  const consumer = await findConsumer(manager, created);
  if (consumer === undefined) return undefined;
  const { messages, first_ts } = state;
  return {
    acknowledgedSequence: consumer.ack_floor.stream_seq,
    pending: consumer.num_pending,
    unacknowledged: consumer.num_ack_pending,
    // What is done with is no longer in the stream.
    oldestTime: messages === 0 ? null : new Date(first_ts).toISOString(),
  };
}
