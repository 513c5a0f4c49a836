import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chooseTicks, findNearest, layOutChart } from './chart.ts';

const FRAME = { width: 300, height: 120, left: 40, right: 10, top: 10, bottom: 20 };

describe('the steps of an axis', () => {
  test('the steps of an axis are round numbers', () => {
    expect(chooseTicks(100, 4)).toEqual([0, 25, 50, 75, 100]);
    expect(chooseTicks(1234, 3)).toEqual([0, 500, 1000, 1500]);
    expect(chooseTicks(0.7, 3)).toEqual([0, 0.25, 0.5, 0.75]);
    expect(chooseTicks(0, 3)).toEqual([0, 1]);
  });

  test('the steps of an axis start at 0, reach the largest value, and are few', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e-6, max: 1e15, noNaN: true }),
        fc.integer({ min: 1, max: 6 }),
        (largest, count) => {
          const ticks = chooseTicks(largest, count);
          expect(ticks[0]).toBe(0);
          expect(ticks.at(-1)!).toBeGreaterThanOrEqual(largest * 0.999_99);
          expect(ticks.length).toBeLessThanOrEqual(count + 2);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('a chart', () => {
  test('a chart draws the first sample at the left, the last one at the right, and 0 at the bottom', () => {
    const { line, area, marks } = layOutChart(
      [
        { time: 1000, value: 0 },
        { time: 2000, value: 10 },
      ],
      FRAME,
    );
    expect(marks[0]).toMatchObject({ x: 40, y: 100 });
    expect(marks[1]).toMatchObject({ x: 290, value: 10 });
    expect(line).toMatch(/^M40 100L290 /);
    expect(area).toMatch(/L290 100L40 100Z$/);
  });

  test('a chart has a gap where nothing was measured', () => {
    const { line } = layOutChart(
      [1, null, 2, 3].map((value, index) => ({ time: index, value })),
      FRAME,
    );
    expect(line.match(/M/g)).toHaveLength(2);
  });

  test('a chart without points has an axis and no line', () => {
    expect(layOutChart([], FRAME)).toMatchObject({ line: '', area: '', marks: [], xTicks: [] });
  });

  test('a chart stays within its frame for any measurements', () => {
    const value = fc.option(fc.double({ min: 0, max: 1e12, noNaN: true }));
    fc.assert(
      fc.property(fc.array(value, { maxLength: 50 }), (values) => {
        const { marks } = layOutChart(
          values.map((each, index) => ({ time: index * 1000, value: each })),
          FRAME,
        );
        for (const { x, y } of marks) {
          expect(x).toBeGreaterThanOrEqual(FRAME.left);
          expect(x).toBeLessThanOrEqual(FRAME.width - FRAME.right);
          expect(y).toBeGreaterThanOrEqual(FRAME.top - 0.1);
          expect(y).toBeLessThanOrEqual(FRAME.height - FRAME.bottom);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('a chart finds the measurement under a pointer', () => {
    const { marks } = layOutChart(
      [1, 2, 3].map((value) => ({ time: value, value })),
      FRAME,
    );
    expect([0, 150, 999].map((x) => findNearest(marks, x))).toEqual([0, 1, 2]);
    expect(findNearest([], 10)).toBeUndefined();
  });
});
