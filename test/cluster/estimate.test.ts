import { expect, test } from 'vitest';
import { estimateSecondsLeft } from './estimate.ts';

test('before anything is done, the weights and the machine that they were measured on decide', () => {
  expect(estimateSecondsLeft([{ weight: 100 }, { weight: 300 }], 0)).toBe(200);
});

test('a machine of half the speed needs twice as long for what is left', () => {
  const slow = estimateSecondsLeft([{ weight: 50, took: 100 }, { weight: 200 }], 100);
  const fast = estimateSecondsLeft([{ weight: 50, took: 50 }, { weight: 200 }], 50);
  expect(slow).toBe(400);
  expect(fast).toBe(200);
});

test('what runs beside it counts as progress', () => {
  const left = estimateSecondsLeft(
    [
      { weight: 50, took: 50 },
      { weight: 200, running: 50 },
    ],
    50,
  );
  expect(left).toBe(75);
});

test('what takes longer than expected is never taken for done', () => {
  expect(
    estimateSecondsLeft(
      [
        { weight: 10, took: 10 },
        { weight: 10, running: 1000 },
      ],
      1010,
    ),
  ).toBeGreaterThan(0);
});

test('nothing is left when all is done', () => {
  expect(estimateSecondsLeft([{ weight: 10, took: 3 }], 3)).toBe(0);
});
