import { STREAM } from '@edge-migration/identity/write-event.ts';
import type { JetStreamManager } from '@nats-io/jetstream';
import type { Position } from './report.ts';
import { CONSUMER } from './streams.ts';

/** Asks where the shared consumer is. */
export async function readPosition(manager: JetStreamManager): Promise<Position> {
  const [consumer, stream] = await Promise.all([
    manager.consumers.info(STREAM, CONSUMER),
    manager.streams.info(STREAM),
  ]);
  const { messages, first_ts } = stream.state;
  return {
    acknowledgedSequence: consumer.ack_floor.stream_seq,
    pending: consumer.num_pending,
    unacknowledged: consumer.num_ack_pending,
    // What is done with is no longer in the stream.
    oldestTime: messages === 0 ? null : new Date(first_ts).toISOString(),
  };
}
