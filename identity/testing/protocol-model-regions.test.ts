import { describe, expect, test } from 'vitest';
import { ALL_REGION_RULES, exploreRegions, type RegionRules } from './protocol-model-regions.ts';

const violationsWith = (change: Partial<RegionRules>) => exploreRegions({ ...ALL_REGION_RULES, ...change }).violations;

const BACK = 'a deleted identity is in Edge';
const DIFFERS = 'the trait differs';

test('in whatever order writes of two regions arrive, both end as Core says for what Core touched', () => {
  const { states, violations } = exploreRegions(ALL_REGION_RULES);
  expect(violations).toEqual([]);
  expect(states).toBeGreaterThan(10_000);
});

describe('each rule is needed', () => {
  test('without a second look, a write that a later one of the other region overtakes is lost', () => {
    expect(violationsWith({ looks: false })).toEqual(
      expect.arrayContaining([`1e: ${DIFFERS}`, `de: ${BACK}`, 'dce: Edge has the identity that was deleted before']),
    );
  });

  test('looking before the replication lag is over finds what is about to be overtaken', () => {
    expect(violationsWith({ waits: 'not' })).toEqual(expect.arrayContaining([`1e: ${DIFFERS}`, `de: ${BACK}`]));
  });

  test('the lag counts in both directions: a client may write on the older document until ours arrives there', () => {
    expect(violationsWith({ waits: 'oneWay' })).toEqual(expect.arrayContaining([`1e: ${DIFFERS}`, `de: ${BACK}`]));
  });

  test('what was found to be equal is looked at, too: a write that it was equal to may be overtaken', () => {
    expect(violationsWith({ looksAtEqual: false })).toContain(`ue: ${DIFFERS}`);
  });

  test('a look that had to write is followed by another one, since its write may be overtaken, too', () => {
    expect(violationsWith({ repeats: false })).toEqual(expect.arrayContaining([`1ee: ${DIFFERS}`, `dee: ${BACK}`]));
  });

  test('without repeating deletes, an identity that a client of the other region wrote comes back', () => {
    expect(violationsWith({ deletesAgain: false })).toContain(`de: ${BACK}`);
  });

  test('without looking at what the copy wrote, the copy is complete before a write overtakes it', () => {
    expect(violationsWith({ copyLooks: false })).not.toEqual([]);
  });
});

describe('while a region is isolated for longer than a look waits', () => {
  const ISOLATED = { waits: 'not' } as const;

  test('no trait is lost if the look is made in every region', () => {
    expect(violationsWith({ ...ISOLATED, looksEverywhere: true }).filter((what) => what.endsWith(DIFFERS))).toEqual([]);
  });

  test('only an identity that was inserted and deleted meanwhile can come back: there is none there before and after', () => {
    const left = violationsWith({ ...ISOLATED, looksEverywhere: true });
    expect(left).not.toEqual([]);
    expect(left.filter((what) => !what.endsWith(BACK))).toEqual([]);
  });
});

describe('where processes go on in another region, come back, and disagree about which can be reached', () => {
  const EITHER = { ...ALL_REGION_RULES, writesIn: 'either', looksEverywhere: true } as const;
  const SOME = ['1', 'u', 'd', 'c', '1e', 'e1', 'de', 'dc', 'c1e'];

  test('nothing is lost while looks wait for replication and are made in every region', () => {
    const { states, violations } = exploreRegions(EITHER, SOME);
    expect(violations).toEqual([]);
    expect(states).toBeGreaterThan(10_000);
  });

  test('a look in one region alone is done with what the other one never keeps, though no Edge client wrote', () => {
    const { violations } = exploreRegions({ ...EITHER, waits: 'not', looksEverywhere: false }, ['1', 'd']);
    expect(violations).toEqual([`1: ${DIFFERS}`, `d: ${BACK}`]);
  });

  test('while the regions are apart for longer than looks wait, only documents that Edge clients write may lose', () => {
    const { violations } = exploreRegions({ ...EITHER, waits: 'not' }, ['1', 'd', 'c', '1e']);
    expect(violations).not.toEqual([]);
    expect(violations.filter((what) => !/^\w*e\w*:/.test(what))).toEqual([]);
  });
});
