import { findConsumer } from '@edge-migration/contract/streams/applier.ts';
import { streamStateOf } from '@edge-migration/contract/streams/watermark.ts';
import { STREAM } from '@edge-migration/contract/write-event.ts';
import { type Clock, momentOf } from '@edge-migration/runtime/clock.ts';
import type { StoreClock } from '@edge-migration/runtime/nats/store-clock.ts';
import type { JetStreamManager } from '@nats-io/jetstream';
import type { Witness } from '../consume/witness.ts';

/** How many events have not been delivered to any process yet. */
export interface Backlog {
  /** As last asked; 0 where unknown. */
  pending(): number;
  refresh(manager: JetStreamManager): Promise<void>;
}

/** The answer also brings the time of NATS and how far the stream is. */
export function createBacklog(
  store: Pick<StoreClock, 'notice'>,
  witness: Pick<Witness, 'observe'>,
  clock: Clock,
): Backlog {
  let pending = 0;
  return {
    pending: () => pending,
    async refresh(manager) {
      const asked = momentOf(clock);
      const info = await manager.streams.info(STREAM);
      store.notice(info.ts);
      witness.observe(streamStateOf(info, asked, clock));
      pending = (await findConsumer(manager, info.created))?.num_pending ?? 0;
    },
  };
}
