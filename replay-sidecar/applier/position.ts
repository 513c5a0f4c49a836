import type { Position } from '@edge-migration/contract/reports/applier.ts';
import { findConsumer } from '@edge-migration/contract/streams/applier.ts';
import { stateOf } from '@edge-migration/contract/streams/watermark.ts';
import { STREAM } from '@edge-migration/contract/write-event.ts';
import { type Clock, momentOf } from '@edge-migration/runtime/clock.ts';
import type { StoreClock } from '@edge-migration/runtime/nats/store-clock.ts';
import type { JetStreamManager } from '@nats-io/jetstream';
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
