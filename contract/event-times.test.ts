import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseHeaderTime, readTimes } from './event-times.ts';

const minutes = fc.integer({ min: -10 * 60_000, max: 10 * 60_000 });
const while_ = fc.integer({ min: 0, max: 60 * 60_000 });

test('with any clock error a request never seems to begin later, or its end to be seen earlier, than it did', () => {
  fc.assert(
    fc.property(minutes, while_, while_, while_, (ahead, took, waited, way) => {
      const [began, observed, sent, stored] = [0, took, took + waited, took + waited + way];
      const times = readTimes({ began: began + ahead, observed: observed + ahead }, sent + ahead, stored);
      expect(times.began).toBeLessThanOrEqual(began + (ahead > 0 ? Math.min(ahead, way) : 0));
      expect(times.observed).toBeGreaterThanOrEqual(observed);
      expect(times.observed).toBeLessThanOrEqual(stored);
    }),
  );
});

test('times of a correct clock stay as they are', () => {
  expect(readTimes({ began: 1000, observed: 2000 }, 3000, 3000)).toEqual({ began: 1000, observed: 2000 });
  expect(readTimes({ began: 1000, observed: 2000 }, undefined, 3000)).toEqual({ began: 1000, observed: 2000 });
});

test('a header counts only if it is a valid time', () => {
  expect(['1700000000000', '', '-1', '1e9', 'x', '9'.repeat(16), undefined].map(parseHeaderTime)).toEqual([
    1_700_000_000_000,
    ...Array(6).fill(undefined),
  ]);
});
