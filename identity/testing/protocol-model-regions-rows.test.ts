import { describe, expect, test } from 'vitest';
import { ALL_REGION_ROW_RULES, exploreRegionRows, type RegionRowRules } from './protocol-model-regions-rows.ts';

const violationsWith = (change: Partial<RegionRowRules>, scenarios?: readonly string[]) =>
  exploreRegionRows({ ...ALL_REGION_ROW_RULES, ...change }, scenarios).violations;

const LEFT = 'a row is left';

test('rows that are replicated apart from their documents end as the overrides of these, in every order', () => {
  const { states, violations } = exploreRegionRows(ALL_REGION_ROW_RULES);
  expect(violations).toEqual([]);
  expect(states).toBeGreaterThan(10_000);
});

describe('each rule is needed', () => {
  test('a row that exists may be of an override that an Edge client set, and that has been overtaken since', () => {
    expect(violationsWith({ comparesRows: false })).toEqual(['O2: a row differs', '2O: a row differs']);
  });

  test('a row of an override that Core has removed may arrive, or come back, without its document', () => {
    expect(violationsWith({ removesLeft: false })).toContain(`Ou: ${LEFT} (ours)`);
  });

  test("a document that an Edge client created elsewhere leaves the row of the product's behind", () => {
    const violations = violationsWith({ removesInserted: false });
    expect(violations).toEqual(expect.arrayContaining([`ce: ${LEFT} (ours)`, `2e: ${LEFT} (ours)`]));
  });

  test("without the copy's checks, so does one that takes the place of a copied document, which has no event", () => {
    expect(violationsWith({ copyRemoves: false })).toContain(`e: ${LEFT} (ours)`);
  });

  test('the row of a deleted identity stays if it arrives after it was to be removed', () => {
    expect(violationsWith({ leavesTrace: false })).toEqual([`uod: ${LEFT} (ours)`]);
  });
});

describe('processes that write in both regions', () => {
  const EITHER = { writesIn: 'either', looksEverywhere: true } as const;
  const SOME = ['1', '2', 'u', 'd', 'c', 'e', 'ce', '2e', 'ue', 'de', 'cd'];

  test('leave no row, and lose none', () => {
    const { states, violations } = exploreRegionRows({ ...ALL_REGION_ROW_RULES, ...EITHER }, SOME);
    expect(violations).toEqual([]);
    expect(states).toBeGreaterThan(1_000);
  });

  test('bring back a row whose removal arrives before that of its document, if the copy puts what is missing', () => {
    expect(violationsWith({ ...EITHER, copyRestores: true }, SOME)).toContain(`d: ${LEFT} (ours)`);
  });
});

describe('regions that are apart for longer than a check waits', () => {
  const APART = { waits: 'not', looksEverywhere: true } as const;
  /** Without those of documents that are inserted and removed meanwhile, and of what only the copy has written. */
  const SOME = ['2O', 'O2', 'uO', 'Ou', 'cd', 'd', 'ue', '2e', 'c2e'];

  test('end alike if every region is checked for the rows, too', () => {
    expect(violationsWith(APART, SOME)).toEqual([]);
  });

  test('differ in rows that were still on their way when their documents had arrived', () => {
    expect(violationsWith({ ...APART, looksAtRows: false }, SOME)).toEqual(
      expect.arrayContaining([`Ou: ${LEFT} (ours)`, '2O: a row differs']),
    );
  });
});
