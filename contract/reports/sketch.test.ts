import { expect, it } from 'vitest';

import {
  addMark,
  emptySketch,
  estimateNames,
  joinSketch,
  markOf,
  readSketch,
  SKETCH_TEXT,
  writeSketch,
} from './sketch.ts';

function sketchOf(names: Iterable<string>) {
  const sketch = emptySketch();
  for (const name of names) addMark(sketch, markOf(name));
  return sketch;
}

const people = (from: number, until: number) =>
  Array.from({ length: until - from }, (_, index) => `person ${from + index}`);

it.each([0, 1, 2, 10, 100, 400, 700, 1000, 10_000, 30_000])(
  'tells %i names within four standard deviations',
  (count) => {
    const estimate = estimateNames(sketchOf(people(0, count)));
    expect(Math.abs(estimate - count)).toBeLessThanOrEqual(Math.ceil(count * 0.26));
  },
);

it('is exact about a few, and the same however often a name comes', () => {
  const names = people(0, 5);
  expect(estimateNames(sketchOf([...names, ...names, ...names]))).toBe(5);
});

it('counts a name once that several processes have seen', () => {
  const [one, other] = [sketchOf(people(0, 3000)), sketchOf(people(1000, 4000))];
  const both = sketchOf(people(0, 4000));
  joinSketch(one, other);
  expect(one).toEqual(both);
});

it('is a text of 256 characters, whatever it has seen', () => {
  for (const count of [0, 1, 20_000]) {
    const sketch = sketchOf(people(0, count));
    const text = writeSketch(sketch);
    expect(text).toMatch(SKETCH_TEXT);
    expect(readSketch(text)).toEqual(sketch);
  }
});

it('holds any text that the form allows', () => {
  expect(Number.isFinite(estimateNames(readSketch('_'.repeat(256))))).toBe(true);
});
