import type { Clock } from '@edge-migration/runtime/clock.ts';

/** Events per second with bursts. */
export interface TokenBucket {
  /** Takes one token, on credit if necessary; returns the milliseconds until it is available. */
  reserve(): number;
  /** Takes one token if one is available. */
  tryTake(): boolean;
}

export function createTokenBucket(
  clock: Clock,
  { perSecond, burst }: { perSecond: number; burst: number },
): TokenBucket {
  let tokens = burst;
  let filledAt = clock.monotonic();

  function fill() {
    const now = clock.monotonic();
    tokens = Math.min(burst, tokens + ((now - filledAt) / 1000) * perSecond);
    filledAt = now;
  }

  return {
    reserve() {
      fill();
      tokens -= 1;
      return tokens >= 0 ? 0 : (-tokens / perSecond) * 1000;
    },
    tryTake() {
      fill();
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
  };
}
