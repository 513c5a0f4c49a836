import { type RemovalReport, removalSubject } from '@edge-migration/contract/reports/removals.ts';
import { PARKING_STREAM } from '@edge-migration/contract/streams/applier.ts';
import { type Clock, leastSince, type Moment, momentOf } from '@edge-migration/runtime/clock.ts';
import { type JetStreamManager, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';

/** The only way in which events leave the parking stream. */
export interface Removals {
  /** Reports what was removed from the stream that was made then. @throws what the NATS client throws */
  tell(created: string): Promise<void>;
  /**
   * Removes what a filter matches up to a sequence. This is reported first, so that a process killed in between has
   * reported too much, never too little.
   *
   * @param most how many events that can be
   * @throws what the NATS client throws
   */
  remove(manager: JetStreamManager, filter: string, until: number, most: number): Promise<void>;
}

/** A removal without an answer is carried out within this time, or never. */
const DOUBT_MS = 60_000;

export function createRemovals(connection: NatsConnection, process: string, clock: Clock): Removals {
  const client = jetstream(connection);
  let created = '';
  let removed = 0;
  let pending = 0;
  let doubts: { readonly count: number; readonly since: Moment }[] = [];

  async function publish(): Promise<void> {
    const report: RemovalReport = { version: 1, process, created, removed, pending };
    await client.publish(removalSubject(process), JSON.stringify(report));
  }

  /** The operator corrects an excess once nothing is pending. */
  function settleDoubts(): void {
    const isOver = ({ since }: { since: Moment }) => leastSince(clock, since) >= DOUBT_MS;
    for (const { count } of doubts.filter(isOver)) {
      removed += count;
      pending -= count;
    }
    doubts = doubts.filter((doubt) => !isOver(doubt));
  }

  return {
    async tell(since) {
      if (since !== created) {
        created = since;
        removed = 0;
        pending = 0;
        doubts = [];
      }
      settleDoubts();
      await publish();
    },
    async remove(manager, filter, until, most) {
      pending += most;
      try {
        await publish();
        const { purged } = await manager.streams.purge(PARKING_STREAM, { filter, seq: until + 1 });
        removed += purged;
        pending -= most;
      } catch (error) {
        doubts.push({ count: most, since: momentOf(clock) });
        throw error;
      }
    },
  };
}
