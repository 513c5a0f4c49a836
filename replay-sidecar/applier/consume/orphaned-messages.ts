import { findConsumer, manage } from '@edge-migration/contract/streams/applier.ts';
import { derivedSubject, isProbe, parseDerivedSubject, readStored } from '@edge-migration/contract/streams/events.ts';
import { STREAM } from '@edge-migration/contract/write-event.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { ORPHANED_POLL_MS } from '@edge-migration/runtime/policies.ts';
import { type JetStreamManager, jetstream, type StoredMsg } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { isTried, keepHeaders, markDoubted, markTried } from './delivery.ts';

/** Events that the stream of events has kept but would never deliver again. */
export interface OrphanedMessages {
  /** Looks for them until the signal aborts; rejects with its reason. */
  run(signal: AbortSignal): Promise<never>;
}

export interface OrphanedMessagesOptions {
  connection: NatsConnection;
  clock: Clock;
  logger: Logger;
}

/** Most events brought back in one check. */
const MOST = 2048;

/**
 * Brings back events that the shared consumer takes for acknowledged while the stream still has them. After a crash of
 * NATS the stream and its consumer may disagree about the last moments before it, because they are written to disk
 * separately; anything below the consumer's floor is then never delivered. Whether it was applied is unknown, so it is
 * published again: applying an event twice does no harm. Also unknown is whether a write for it, by a process that had
 * it, is still under way: for other events, an earlier delivery by NATS shows that.
 *
 * An acknowledgement takes a moment to reach the stream, so an event is a stray when it is found twice.
 */
export function createOrphanedMessages({ connection, clock, logger }: OrphanedMessagesOptions): OrphanedMessages {
  const client = jetstream(connection);
  let seen: ReadonlySet<number> = new Set();

  async function recoverOrphans(manager: JetStreamManager): Promise<void> {
    let found = await findBelowFloor(manager);
    const strays = found.filter(({ seq }) => seen.has(seq));
    if (strays.length > 0) {
      await Promise.all(strays.map((stray) => bringBack(manager, stray)));
      logger.warn({ events: strays.length }, 'recovered events that NATS would not have delivered again');
      found = await findBelowFloor(manager);
    }
    seen = new Set(found.map(({ seq }) => seq));
  }

  /** Several replicas may do it at the same time: the first one's is kept. */
  async function bringBack(manager: JetStreamManager, stray: StoredMsg) {
    const { subject, seq, time, timestamp, data, header } = stray;
    const msgID = `stray-${seq}-${timestamp}`;
    const derived = derivedSubject(parseDerivedSubject(subject) ?? 0);
    if (!isProbe(subject)) {
      const fields = keepHeaders({ subject, time, headers: header });
      markDoubted(fields);
      if (isTried({ subject, headers: header })) markTried(fields);
      await client.publish(derived, data, { msgID, headers: fields });
    }
    await manager.streams.deleteMessage(STREAM, seq, false);
  }

  return {
    async run(signal) {
      const manager = await manage(connection);
      let failing = false;
      for (;;) {
        await clock.sleep(ORPHANED_POLL_MS, signal);
        try {
          if (!connection.isClosed()) await recoverOrphans(manager);
          failing = false;
        } catch (error) {
          signal.throwIfAborted();
          if (!failing) logger.warn({ err: error }, 'the stream cannot be searched for orphaned messages; retrying');
          failing = true;
        }
      }
    },
  };
}

/** Messages in the stream although the consumer is done with everything up to there. */
async function findBelowFloor(manager: JetStreamManager): Promise<StoredMsg[]> {
  // In this order: an event below the floor was there for at least as long as both requests took.
  const { created } = await manager.streams.info(STREAM);
  const { ack_floor } = (await findConsumer(manager, created)) ?? {};
  const { state } = await manager.streams.info(STREAM);
  if (ack_floor === undefined || state.messages === 0 || state.first_seq > ack_floor.stream_seq) return [];
  const found: StoredMsg[] = [];
  for await (const message of readStored(manager, STREAM, { from: state.first_seq, most: MOST })) {
    if (message.seq > ack_floor.stream_seq) break;
    found.push(message);
  }
  return found;
}
