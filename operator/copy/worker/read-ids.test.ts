import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addIds, areSame, createReadIds, NO_IDS } from './read-ids.ts';

const ids = fc.array(fc.integer({ min: 1, max: 5000 }), { maxLength: 3000 });

test('each id is remembered once, in whatever order the ids are added', () => {
  fc.assert(
    fc.property(fc.array(ids, { maxLength: 5 }), (pages) => {
      const read = createReadIds();
      const expected = new Set<number>();
      for (const page of pages) {
        read.add(page);
        for (const id of page) expected.add(id);
        expect(read.count()).toBe(expected.size);
      }
      for (let id = 0; id <= 5001; id += 7) expect(read.has(id)).toBe(expected.has(id));
    }),
    { numRuns: 50 },
  );
});

test('sums differ for different sets of the same size, and do not depend on the order', () => {
  const sums = (...all: number[]) => addIds(NO_IDS, all);
  expect(areSame(sums(1, 5, 9), sums(9, 1, 5))).toBe(true);
  expect(areSame(sums(1, 5, 9), sums(2, 5, 8))).toBe(false);
  expect(areSame(sums(2 ** 31), sums(2 ** 31 - 1))).toBe(false);
});
