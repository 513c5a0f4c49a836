import { describe, expect, test } from 'vitest';
import { ALL_KEY_RULES, exploreKeys } from './protocol-model-keys.ts';

const violationsWithout = (rule: keyof typeof ALL_KEY_RULES) =>
  exploreKeys({ ...ALL_KEY_RULES, [rule]: false }).violations;
const LEFT = 'a document is left under a former key';

test('with any key changes and any beliefs of appliers, each document ends under the present key alone', () => {
  const { states, violations } = exploreKeys(ALL_KEY_RULES);
  expect(violations).toEqual([]);
  expect(states).toBeGreaterThan(10_000);
});

describe('each rule is needed', () => {
  test("without asking Core for a key's owner, documents are written under a middle one and stay there", () => {
    expect(violationsWithout('asks')).toContain(`rr: ${LEFT}`);
  });

  test("without asking Core for a key's owner, a rename harms the environment that took the key over", () => {
    expect(violationsWithout('asks')).toContain("rt: another environment's document was changed");
  });

  test('without resolving again, an event handled by a stale key never reaches the present document', () => {
    expect(violationsWithout('resolvesAgain')).toContain('r: the document under the present key is wrong');
  });

  test('without following to the present key, a deletion by the former one is lost', () => {
    expect(violationsWithout('follows')).not.toEqual([]);
  });

  test('without a check after the copy, its documents under the former key stay', () => {
    expect(violationsWithout('holds')).toContain(`r: ${LEFT}`);
  });
});
