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
  'a sketch estimates %i names within four standard deviations',
  (count) => {
    const estimate = estimateNames(sketchOf(people(0, count)));
    expect(Math.abs(estimate - count)).toBeLessThanOrEqual(Math.ceil(count * 0.26));
  },
);

it('a sketch is exact for a few names, however often each of them occurs', () => {
  const names = people(0, 5);
  expect(estimateNames(sketchOf([...names, ...names, ...names]))).toBe(5);
});

it('merged sketches count a name once that several processes have seen', () => {
  const [one, other] = [sketchOf(people(0, 3000)), sketchOf(people(1000, 4000))];
  const both = sketchOf(people(0, 4000));
  joinSketch(one, other);
  expect(one).toEqual(both);
});

it('a sketch is a text of 256 characters, regardless of its content', () => {
  for (const count of [0, 1, 20_000]) {
    const sketch = sketchOf(people(0, count));
    const text = writeSketch(sketch);
    expect(text).toMatch(SKETCH_TEXT);
    expect(readSketch(text)).toEqual(sketch);
  }
});

it('a sketch can be read from any text of the allowed form', () => {
  expect(Number.isFinite(estimateNames(readSketch('_'.repeat(256))))).toBe(true);
});
