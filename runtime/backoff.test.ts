import fc from 'fast-check';
import { expect, test } from 'vitest';
import { choosePause } from './backoff.ts';

const BACKOFF = { firstMs: 200, longestMs: 10_000 };

test('pauses double with each attempt, up to the longest, each random between half and all of it', () => {
  fc.assert(
    fc.property(fc.nat({ max: 2000 }), (attempt) => {
      const whole = [200, 400, 800, 1600, 3200, 6400][attempt] ?? 10_000;
      const pause = choosePause(BACKOFF, attempt);
      expect(pause).toBeGreaterThanOrEqual(whole / 2);
      expect(pause).toBeLessThanOrEqual(whole);
    }),
    { examples: [[0], [1], [2], [5], [6]] },
  );
});

test('two clients that fail at the same time do not retry at the same time', () => {
  expect(new Set(Array.from({ length: 20 }, () => choosePause(BACKOFF, 3))).size).toBeGreaterThan(1);
});
