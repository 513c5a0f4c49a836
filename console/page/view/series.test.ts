import { expect, test } from 'vitest';
import type { ProjectSummary, Sample } from '../client/types.ts';
import { appendSample, pointsOf } from './series.ts';

const summary = (rate: number | null) =>
  ({ identities_per_second: rate, identities_remaining: null, lag_seconds: null }) as ProjectSummary;
const at = (second: number) => new Date(second * 1000).toISOString();

test('an event adds a sample, and replaces one of the same second', () => {
  const once = appendSample([], summary(1), at(1));
  const twice = appendSample(once, summary(2), at(1.5));
  expect(appendSample(twice, summary(3), at(2)).map((sample) => sample.identities_per_second)).toEqual([2, 3]);
});

test("a plan's reads are not part of the copy", () => {
  expect(appendSample([], { ...summary(1), mode: 'Plan' }, at(1))).toEqual([]);
});

test('an event older than the known ones changes nothing', () => {
  const known = appendSample([], summary(1), at(10));
  expect(appendSample(known, summary(2), at(9))).toBe(known);
});

test('a page that stays open keeps a bounded number of samples, the newest in full detail', () => {
  let samples: readonly Sample[] = [];
  for (let second = 0; second < 5000; second++) samples = appendSample(samples, summary(second), at(second));
  expect(samples.length).toBeLessThanOrEqual(600);
  expect(samples[0]!.identities_per_second).toBe(0);
  expect(samples.slice(-200).map((sample) => sample.identities_per_second)).toEqual(
    Array.from({ length: 200 }, (_, index) => 4800 + index),
  );
});

test('a measure begins and ends where it was measured, with gaps in between', () => {
  const samples = [null, 1, null, 2, null].map((rate, index) => ({ time: at(index), ...summary(rate) }));
  expect(pointsOf(samples, 'identities_per_second').map(({ value }) => value)).toEqual([1, null, 2]);
  expect(pointsOf(samples, 'lag_seconds')).toEqual([]);
});
