import type { Clock } from '@edge-migration/runtime/clock.ts';
import { CORE_CLOCK_POLL_MS } from '@edge-migration/runtime/policies.ts';

/** How far Core's clock is from that of NATS, which pods that compare cannot ask. */
export interface CoreClock {
  /** Milliseconds by which it is ahead, or less; undefined while one of the two is not known. */
  ahead(): number | undefined;
  /** Asks regularly until the signal aborts; never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

export interface CoreClockOptions {
  /** The present time by Core's clock. */
  readCoreTime(signal: AbortSignal): Promise<number>;
  /** The present time by NATS's clock; undefined while it is not known. */
  now(): number | undefined;
  clock: Pick<Clock, 'sleep'>;
}

/** How far the clock of NATS may be ahead of our estimate. */
const MARGIN_MS = 1_000;

export function createCoreClock({ readCoreTime, now, clock }: CoreClockOptions): CoreClock {
  let ahead: number | undefined;
  return {
    ahead: () => ahead,
    async run(signal) {
      while (!signal.aborted) {
        if (now() !== undefined) {
          const time = await readCoreTime(signal).catch(() => undefined);
          // The answer was on its way meanwhile: the difference is at least this large.
          if (time !== undefined) ahead = time - now()! - MARGIN_MS;
        }
        await clock
          .sleep(ahead === undefined ? CORE_CLOCK_POLL_MS.unknown : CORE_CLOCK_POLL_MS.known, signal)
          .catch(() => {});
      }
    },
  };
}
