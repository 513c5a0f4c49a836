import { STREAM } from '@edge-migration/contract/write-event.ts';
import { type Clock, leastSince, type Moment, momentOf } from '@edge-migration/runtime/clock.ts';
import type { ConsumerInfo, JetStreamManager, StreamState } from '@nats-io/jetstream';
import { z } from 'zod';

/**
 * Messages that NATS delivers as if for the first time although a process may have had them: it stores its deliveries a
 * moment later, and a crash loses that.
 */
export interface ForgottenDeliveries {
  /**
   * To be called before the first fetch on a new link.
   *
   * @param isOther the server is a different one, or has restarted since
   * @throws what the client library throws
   */
  check(manager: JetStreamManager, consumer: string, isOther: boolean): Promise<void>;
  /** Whether a write of a process that had this message may still arrive. */
  includes(sequence: number): boolean;
}

/** Shared in the consumer's metadata by the first process that asks after a start of NATS. */
const MARK = 'edge-migration-forgotten';
const mark = z.object({
  /** The last sequence that the stream had assigned then. */
  sequence: z.int().min(0),
  /** By the clock of NATS, milliseconds since the epoch. */
  time: z.number(),
});
type Mark = z.infer<typeof mark>;

/** @param milliseconds time after which no earlier write can still arrive */
export function createForgottenDeliveries(clock: Clock, milliseconds: number): ForgottenDeliveries {
  let until: { readonly sequence: number; readonly since: Moment; readonly milliseconds: number } | undefined;

  function distrust(sequence: number, since: Moment, left: number): void {
    const known = until === undefined ? 0 : until.milliseconds - leastSince(clock, until.since);
    until = { sequence: Math.max(sequence, until?.sequence ?? 0), since, milliseconds: Math.max(left, known) };
  }

  return {
    async check(manager, name, isOther) {
      const since = momentOf(clock);
      const { state } = await manager.streams.info(STREAM);
      const info = await manager.consumers.info(STREAM, name);
      const now = Date.parse(info.ts!);
      const last = { sequence: state.last_seq, time: now };
      const hasStarted = hasForgotten(info, state);
      if (hasStarted) await write(manager, info, last);
      const told = hasStarted ? last : readMark(info);
      const left = told === undefined ? 0 : milliseconds - Math.max(0, now - told.time);
      if (told !== undefined && left > 0) distrust(told.sequence, since, left);
      if (isOther) distrust(last.sequence, since, milliseconds);
    },
    includes(sequence) {
      if (until !== undefined && leastSince(clock, until.since) >= until.milliseconds) until = undefined;
      return until !== undefined && sequence <= until.sequence;
    },
  };
}

/** It was at work before, and has delivered nothing since it was started or made. */
function hasForgotten({ delivered }: ConsumerInfo, { messages, last_seq }: StreamState): boolean {
  const isQuiet = (delivered.last_active as unknown) === undefined;
  return isQuiet && (delivered.consumer_seq > 0 || messages < last_seq);
}

function write(manager: JetStreamManager, { name, config }: ConsumerInfo, found: Mark): Promise<ConsumerInfo> {
  return manager.consumers.update(STREAM, name, { metadata: { ...config.metadata, [MARK]: JSON.stringify(found) } });
}

function readMark({ config }: ConsumerInfo): Mark | undefined {
  try {
    return mark.parse(JSON.parse(config.metadata?.[MARK] ?? ''));
  } catch {
    return undefined;
  }
}
