import { expect, test } from 'vitest';
import { estimateSecondsLeft } from './estimate.ts';

test('before the first step, the estimate comes from the weights and the reference machine', () => {
  expect(estimateSecondsLeft([{ weight: 100 }, { weight: 300 }], 0)).toBe(200);
});

test('on a machine of half the speed, the estimate for the rest doubles', () => {
  const slow = estimateSecondsLeft([{ weight: 50, took: 100 }, { weight: 200 }], 100);
  const fast = estimateSecondsLeft([{ weight: 50, took: 50 }, { weight: 200 }], 50);
  expect(slow).toBe(400);
  expect(fast).toBe(200);
});

test('steps that run in parallel count as progress', () => {
  const left = estimateSecondsLeft(
    [
      { weight: 50, took: 50 },
      { weight: 200, running: 50 },
    ],
    50,
  );
  expect(left).toBe(75);
});

test('a step that takes longer than expected never counts as done', () => {
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

test('the estimate is zero when every step is done', () => {
  expect(estimateSecondsLeft([{ weight: 10, took: 3 }], 3)).toBe(0);
});
