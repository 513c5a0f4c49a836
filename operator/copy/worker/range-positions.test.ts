import { expect, test } from 'vitest';
import { NO_TOTALS, type Totals } from '../checkpoint.ts';
import { RangePositions } from './range-positions.ts';

/** Totals after so many identities that existed when the range was planned. */
const known = (count: number): Totals => ({ ...NO_TOTALS, counts: { ...NO_TOTALS.counts, known: count, read: count } });
const mark = (id: number) => ({ id, hash: `hash-${id}` });

test('the known identities are counted by segment, those of the current one included', () => {
  const positions = new RangePositions(3, undefined, undefined);
  positions.advance(mark(1), known(5));
  positions.moveTo(1);
  positions.advance(mark(2), known(12));
  expect([0, 1, 2].map((counted) => positions.knownOf((segment) => segment === counted))).toEqual([5, 7, 0]);
  expect(positions.knownOf(() => true)).toBe(12);
});

test('positions that could not be found again are forgotten, with what was counted after them', () => {
  const before = new RangePositions(2, undefined, undefined);
  before.moveTo(1);
  for (const id of [1, 2, 3]) before.advance(mark(id), known(id));
  const saved = before.list();
  const older = saved.positions.find(({ identity }) => identity?.id === 2);
  const after = new RangePositions(2, saved, older);
  expect(after.totals.counts.known).toBe(2);
  expect(after.list().positions[0]).toBe(older);
});

test('a range that starts over has counted nothing', () => {
  const positions = new RangePositions(2, undefined, undefined);
  positions.advance(mark(1), known(5));
  positions.moveTo(1);
  positions.restart();
  expect(positions.totals).toEqual(NO_TOTALS);
  expect(positions.list()).toMatchObject({ positions: [{ segment: 0, identity: null }], knownBySegment: [] });
});

test('a segment for which an earlier release has not recorded the number counts as zero, unless all are counted', () => {
  const position = { segment: 1, identity: mark(9), totals: known(9) };
  const positions = new RangePositions(2, { positions: [position], knownBySegment: [] }, position);
  expect(positions.knownOf((segment) => segment === 1)).toBe(0);
  expect(positions.knownOf(() => true)).toBe(9);
});
