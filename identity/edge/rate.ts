import type { Clock } from '@edge-migration/runtime/clock.ts';

/**
 * The write units that one process may spend, and those that it has spent.
 *
 * A token bucket in write units. The rate starts at the configured maximum, falls by a third when DynamoDB throttles
 * and climbs back steadily when it does not, so that several workers on one table reach a balance.
 */
export interface WriteBudget {
  /**
   * Waits until `units` may be spent, then spends them. First come, first served. A request larger than what one second
   * yields is let through and paid back afterwards.
   */
  take(units: number, signal?: AbortSignal): Promise<void>;
  /** Corrects an earlier `take` once the server has reported the real consumption. */
  settle(taken: number, consumed: number): void;
  /** DynamoDB throttled `requests` requests or statements. */
  throttled(requests?: number): void;
  /** The configured maximum has changed, in write units a second. */
  setMaximum(unitsPerSecond: number): void;
  /** The current rate, in write units a second. */
  rate(): number;
  /** Totals since the start. */
  spent(): { units: number; throttled: number };
}

/** The default quota of a table in AWS, in write units a second. */
const DEFAULT_MAXIMUM = 40_000;
/** A throttled table gets this share of the rate, and no second cut before the first can take effect. */
const CUT = 2 / 3;
const CUT_EVERY_MS = 500;
/** Time for climbing from zero back to the maximum. */
const RECOVERY_SECONDS = 60;
/** Below this a worker could not detect the end of throttling. */
const LOWEST_RATE = 5;
/** Unused units are kept for this long: bursts are shorter than DynamoDB's own burst capacity. */
const BURST_SECONDS = 0.5;

export function createWriteBudget({
  clock,
  maximum: initialMaximum = DEFAULT_MAXIMUM,
}: {
  clock: Clock;
  /** Write units a second. */
  maximum?: number;
}): WriteBudget {
  let maximum = initialMaximum;
  let rate = maximum;
  let tokens = 0;
  let refilled = clock.monotonic();
  let cut = Number.NEGATIVE_INFINITY;
  let turn: Promise<void> = Promise.resolve();
  const totals = { units: 0, throttled: 0 };

  function refill(): void {
    const now = clock.monotonic();
    const seconds = (now - refilled) / 1000;
    refilled = now;
    rate = Math.min(maximum, rate + (seconds * maximum) / RECOVERY_SECONDS);
    tokens = Math.min(tokens + rate * seconds, rate * BURST_SECONDS);
  }

  async function waitForTokens(signal?: AbortSignal): Promise<void> {
    for (refill(); tokens < 0; refill()) {
      await clock.sleep(Math.min(1000, Math.max(1, (-tokens / rate) * 1000)), signal);
    }
  }

  return {
    async take(units, signal) {
      signal?.throwIfAborted();
      // Each waits for the one before it, however that one ended.
      const previous = turn;
      const mine = Promise.withResolvers<void>();
      turn = mine.promise;
      try {
        await previous;
        await waitForTokens(signal);
        tokens -= units;
        totals.units += units;
      } finally {
        mine.resolve();
      }
    },

    settle(taken, consumed) {
      tokens -= consumed - taken;
      totals.units += consumed - taken;
    },

    throttled(requests = 1) {
      totals.throttled += requests;
      refill();
      const now = clock.monotonic();
      if (now - cut < CUT_EVERY_MS) return;
      cut = now;
      rate = Math.min(maximum, Math.max(LOWEST_RATE, CUT * rate));
      tokens = Math.min(tokens, 0);
    },

    setMaximum(unitsPerSecond) {
      refill();
      if (rate === maximum) rate = unitsPerSecond;
      maximum = unitsPerSecond;
      rate = Math.min(rate, maximum);
    },

    rate() {
      refill();
      return rate;
    },

    spent: () => ({ ...totals }),
  };
}
