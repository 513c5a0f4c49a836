import { type Clock, leastSince, type Moment, momentOf } from '@edge-migration/identity/clock.ts';
import { type JetStreamManager, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { z } from 'zod';
import { PARKING_STREAM, reportSubject } from './streams.ts';

/**
 * What one applier process has removed from the parking stream. The stream tells how much was removed from it altogether, so
 * that the operator finds what nobody speaks for (docs/design.md, "What NATS loses").
 */
const removalReport = z.object({
  version: z.literal(1),
  process: z.string().max(300),
  /** When that stream was made, as NATS reports it: counts begin at 0 with another one. */
  created: z.string().max(64),
  removed: z.int().nonnegative(),
  /** About to be removed, at most. */
  pending: z.int().nonnegative(),
});
export type RemovalReport = z.infer<typeof removalReport>;

/** Beside the reports, and kept as long. */
const removalSubject = (process: string): string => `${reportSubject(process)}~removals`;

/** The report in a message; undefined when it is none. */
export function decodeRemovals({ subject, data }: { subject: string; data: Uint8Array }): RemovalReport | undefined {
  try {
    const report = removalReport.safeParse(JSON.parse(Buffer.from(data).toString())).data;
    return report !== undefined && removalSubject(report.process) === subject ? report : undefined;
  } catch {
    return undefined;
  }
}

/** The only way in which events leave the parking stream. */
export interface Removals {
  /** Tells what was removed from the stream that was made then. @throws what the NATS client throws */
  tell(created: string): Promise<void>;
  /**
   * Removes what a filter matches up to a sequence. It is said before it is done, so that a process that is killed
   * in between has said too much, never too little.
   *
   * @param most how many events that can be
   * @throws what the NATS client throws
   */
  remove(manager: JetStreamManager, filter: string, until: number, most: number): Promise<void>;
}

/** A removal that was not answered is carried out within this time, or never. */
const DOUBT_MILLISECONDS = 60_000;

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

  /** Too much is corrected by the operator, once nothing is pending. */
  function settleDoubts(): void {
    const isOver = ({ since }: { since: Moment }) => leastSince(clock, since) >= DOUBT_MILLISECONDS;
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
