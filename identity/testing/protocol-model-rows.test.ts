import { describe, expect, test } from 'vitest';
import { ALL_ROW_RULES, exploreRows } from './protocol-model-rows.ts';

const APART = { ...ALL_ROW_RULES, transactions: false };
const LEFT = 'a row is left';

test.each([
  ['in transactions', ALL_ROW_RULES],
  ['one after the other', APART],
])('documents and rows that are written %s agree in the end, in every order', (_, rules) => {
  const { states, violations } = exploreRows(rules);
  expect(violations).toEqual([]);
  expect(states).toBeGreaterThan(5_000);
});

test('a missing row that is put beside a trait would outlive an override that an Edge client removes meanwhile', () => {
  const violations = [`tx: ${LEFT}`];
  expect(exploreRows({ ...ALL_ROW_RULES, dependsOnOverrides: false }).violations).toEqual(violations);
  // Without transactions a condition is not enough.
  expect(exploreRows({ ...APART, restoresTouched: false }).violations).toEqual(violations);
});

describe('where rows are written one after the other with their document, each rule is needed', () => {
  test.each([
    ['rows that exist are compared with the document', { comparesRows: false }, ['2: a row differs']],
    ['rows of touched overrides that the document does not have are removed', { removesLeft: false }, [`2u: ${LEFT}`]],
    ['removed rows are deleted before the document', { removesFirst: false }, [`d: ${LEFT}`, `td: ${LEFT}`]],
    ['they are looked for once more after a document was deleted', { removesAgain: false }, [`cd: ${LEFT}`]],
    ['others are put after the document', { putsLast: false }, [`cd: ${LEFT}`]],
    ['the document is read once more after its rows', { looksAfter: false }, [`cd: ${LEFT}`]],
    ['a row that was put for an override that has gone is removed at once', { removesOwn: false }, [`cd: ${LEFT}`]],
  ])('%s', (_, change, violations) => {
    expect(exploreRows({ ...APART, ...change }).violations).toEqual(expect.arrayContaining(violations));
  });
});
