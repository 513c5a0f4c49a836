import { describe, expect, test } from 'vitest';
import { createExpiringCache } from './expiring-cache.ts';
import { createRateLimit } from './rate-limit.ts';
import type { ProjectSummary } from './schemas.ts';
import { createSeries } from './series.ts';

/** A clock that advances only on request. */
function manualClock() {
  let at = 0;
  return { monotonic: () => at, now: () => at, pass: (milliseconds: number) => (at += milliseconds) };
}

describe('a rate limit', () => {
  test('a rate limit admits a burst, then as many requests as time allows, for each key separately', () => {
    const clock = manualClock();
    const limit = createRateLimit(clock, { burst: 2, perSecond: 4 });
    expect([limit.take('a'), limit.take('a'), limit.take('a')]).toEqual([0, 0, 250]);
    expect(limit.take('b')).toBe(0);
    clock.pass(250);
    expect([limit.take('a'), limit.take('a')]).toEqual([0, 250]);
    clock.pass(3_600_000);
    expect([limit.take('a'), limit.take('a'), limit.take('a')]).toEqual([0, 0, 250]);
  });

  test('a rate limit remembers a bounded number of keys, and forgets the one that was idle longest', () => {
    const limit = createRateLimit(manualClock(), { burst: 1, perSecond: 1 }, 2);
    for (const key of ['a', 'b', 'a', 'c']) limit.take(key);
    expect([limit.peek('a'), limit.peek('b'), limit.peek('c')]).toEqual([1000, 0, 1000]);
  });
});

describe('an answer', () => {
  test('a cached answer is requested once by any number of callers, and again when it has expired', async () => {
    const clock = manualClock();
    const cache = createExpiringCache<number>(clock, { lifeMs: 100, mostEntries: 10 });
    let asked = 0;
    const ask = async () => ++asked;
    expect(await Promise.all([cache.get('a', ask), cache.get('a', ask)])).toEqual([1, 1]);
    clock.pass(100);
    expect(await cache.get('a', ask)).toBe(2);
  });

  test('a failed answer is not cached', async () => {
    const cache = createExpiringCache<number>(manualClock(), { lifeMs: 100, mostEntries: 10 });
    await expect(cache.get('a', () => Promise.reject(new Error('down')))).rejects.toThrow('down');
    expect(await cache.get('a', async () => 1)).toBe(1);
  });

  test('the oldest cached answer is evicted when there are too many', async () => {
    const cache = createExpiringCache<string>(manualClock(), { lifeMs: 100, mostEntries: 2 });
    for (const key of ['a', 'b', 'c']) await cache.get(key, async () => 'first');
    expect(await cache.get('c', async () => 'again')).toBe('first');
    expect(await cache.get('a', async () => 'again')).toBe('again');
  });
});

describe('a series', () => {
  const summary = (rate: number | null) =>
    ({ identities_per_second: rate, identities_remaining: null, lag_seconds: null }) as ProjectSummary;

  test('a series of four weeks is no longer than one of an hour, and keeps its beginning and end', () => {
    const clock = manualClock();
    const series = createSeries(clock, 20);
    for (let minute = 0; minute < 28 * 24 * 60; minute++) {
      series.note('a', summary(minute));
      clock.pass(60_000);
    }
    const samples = series.of('a');
    expect(samples.length).toBeGreaterThan(8);
    expect(samples.length).toBeLessThanOrEqual(20);
    const rates = samples.map(({ identities_per_second: rate }) => rate ?? 0);
    expect(rates).toEqual(rates.toSorted((a, b) => a - b));
    expect(rates.at(-1)).toBeGreaterThan(28 * 24 * 60 * 0.85);
  });

  test('a series is empty for a project without measurements, and for one that is gone', () => {
    const series = createSeries(manualClock());
    series.note('a', summary(null));
    series.note('b', summary(5));
    series.forget('b');
    expect([series.of('a'), series.of('b')]).toEqual([[], []]);
  });
});
