import { expect, test } from 'vitest';
import { type CoreDay, listBars, parseCoreSeries } from './core.ts';

const day = (date: string, writes: number): CoreDay => ({ date, known: 'all', writes, reads: 0 });

test('a day that was not counted is a gap, not a zero', () => {
  const bars = listBars({ days: [day('2026-02-27', 5), day('2026-03-01', 0)] });
  expect(bars.map(({ day: counted }) => counted?.writes)).toEqual([5, undefined, 0]);
});

test('unsorted days are sorted, and invalid dates are omitted', () => {
  const bars = listBars({ days: [day('2026-03-01', 2), day('tomorrow', 9), day('2026-02-28', 1)] });
  expect(bars.map(({ day: counted }) => counted?.writes)).toEqual([1, 2]);
});

test('a series of several years shows its newest days', () => {
  const bars = listBars({ days: [day('2020-01-01', 1), day('2026-03-01', 2)] });
  expect(bars).toHaveLength(120);
  expect(bars.at(-1)?.day?.writes).toBe(2);
  expect(listBars({ days: [] })).toEqual([]);
});

test('an unreadable series counts as none', () => {
  const days = [day('2026-03-01', 2)];
  expect(parseCoreSeries({ version: 1, days })).toEqual({ days });
  const broken = [undefined, null, 'text', {}, { days: {} }, { days: [{}] }, { days: [{ ...days[0], writes: '9' }] }];
  expect(broken.map(parseCoreSeries)).toEqual(broken.map(() => undefined));
});
