import type { Clock } from '@edge-migration/runtime/clock.ts';

/** A rate limit: a burst, and a rate per second. */
export interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

export interface RateLimit {
  /** Takes one token for this key. Returns the milliseconds to wait if there is none; 0: taken. */
  take(key: string): number;
  /** The same without taking a token. */
  peek(key: string): number;
}

/** Maximum number of keys. The one that was idle longest is evicted, as it has most likely recovered. */
const MOST_KEYS = 10_000;

/** A token bucket for each key. */
export function createRateLimit(
  clock: Pick<Clock, 'monotonic'>,
  { burst, perSecond }: Rate,
  mostKeys = MOST_KEYS,
): RateLimit {
  const buckets = new Map<string, { tokens: number; at: number }>();

  function refill(key: string) {
    const now = clock.monotonic();
    const known = buckets.get(key);
    const tokens = known === undefined ? burst : Math.min(burst, known.tokens + ((now - known.at) * perSecond) / 1000);
    return { tokens, at: now };
  }

  const waitFor = (tokens: number) => (tokens >= 1 ? 0 : Math.ceil(((1 - tokens) / perSecond) * 1000));

  return {
    peek: (key) => waitFor(refill(key).tokens),
    take(key) {
      const bucket = refill(key);
      const wait = waitFor(bucket.tokens);
      if (wait === 0) bucket.tokens -= 1;
      buckets.delete(key);
      const idle = buckets.keys().next();
      if (buckets.size >= mostKeys && !idle.done) buckets.delete(idle.value);
      buckets.set(key, bucket);
      return wait;
    },
  };
}
