import { expect, test } from 'vitest';
import { findLostWrites } from './history.ts';

const write = (region: string, stamp: number, over?: number, item = 'a') => ({ region, stamp, over, item });

test('writes that are each based on the one before lose nothing', () => {
  expect(findLostWrites([write('eu', 1), write('us', 2, 1), write('eu', 3, 2)])).toEqual([]);
});

test('of two writes based on the same state, the earlier one is lost to the later one', () => {
  const lost = write('eu', 5, 1);
  const to = write('us', 9, 1);
  expect(findLostWrites([write('eu', 1), lost, to])).toEqual([{ write: lost, to, windowMs: 4 }]);
});

test('a write is lost to the first winner after it, and later writes based on it are lost too', () => {
  const history = [write('eu', 1), write('eu', 2, 1), write('eu', 3, 2), write('us', 4, 1), write('us', 8, 4)];
  expect(findLostWrites(history).map(({ write: { stamp }, to }) => [stamp, to.stamp])).toEqual([
    [2, 4],
    [3, 4],
  ]);
});

test('writes to different items are independent', () => {
  expect(findLostWrites([write('eu', 1, undefined, 'a'), write('us', 2, undefined, 'b')])).toEqual([]);
});
