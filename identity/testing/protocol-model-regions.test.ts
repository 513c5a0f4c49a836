import { describe, expect, test } from 'vitest';
import { ALL_REGION_RULES, exploreRegions, type RegionRules } from './protocol-model-regions.ts';

const violationsWith = (change: Partial<RegionRules>) => exploreRegions({ ...ALL_REGION_RULES, ...change }).violations;

const BACK = 'a deleted identity is in Edge';
const DIFFERS = 'the trait differs';

test('writes of two regions arriving in any order end as Core says for what Core touched', () => {
  const { states, violations } = exploreRegions(ALL_REGION_RULES);
  expect(violations).toEqual([]);
  expect(states).toBeGreaterThan(10_000);
});

describe('each rule is needed', () => {
  test('without a second check, a write that a later one of the other region overtakes is lost', () => {
    expect(violationsWith({ rechecks: false })).toEqual(
      expect.arrayContaining([`1e: ${DIFFERS}`, `de: ${BACK}`, 'dce: Edge has the identity that was deleted before']),
    );
  });

  test('a check before the replication lag is over sees a document that is about to be overtaken', () => {
    expect(violationsWith({ waits: 'not' })).toEqual(expect.arrayContaining([`1e: ${DIFFERS}`, `de: ${BACK}`]));
  });

  test('the lag counts in both directions: a client may write on the older document until ours arrives', () => {
    expect(violationsWith({ waits: 'oneWay' })).toEqual(expect.arrayContaining([`1e: ${DIFFERS}`, `de: ${BACK}`]));
  });

  test('equal documents are checked, too: the write that made them equal may be overtaken', () => {
    expect(violationsWith({ rechecksEqual: false })).toContain(`ue: ${DIFFERS}`);
  });

  test('a check that had to write is followed by another one, since its write may be overtaken, too', () => {
    expect(violationsWith({ repeats: false })).toEqual(expect.arrayContaining([`1ee: ${DIFFERS}`, `dee: ${BACK}`]));
  });

  test('without repeating deletes, an identity that a client of the other region wrote comes back', () => {
    expect(violationsWith({ deletesAgain: false })).toContain(`de: ${BACK}`);
  });

  test("without checking the copy's writes, the copy is complete before a write overtakes one", () => {
    expect(violationsWith({ copyRechecks: false })).not.toEqual([]);
  });
});

describe('a region isolated for longer than a check waits', () => {
  const ISOLATED = { waits: 'not' } as const;

  test('in an isolated region no trait is lost if checks are made in every region', () => {
    expect(violationsWith({ ...ISOLATED, rechecksEverywhere: true }).filter((what) => what.endsWith(DIFFERS))).toEqual(
      [],
    );
  });

  test('in an isolated region only an identity that was inserted and deleted meanwhile can come back', () => {
    const left = violationsWith({ ...ISOLATED, rechecksEverywhere: true });
    expect(left).not.toEqual([]);
    expect(left.filter((what) => !what.endsWith(BACK))).toEqual([]);
  });
});

describe('several processes that fail over and disagree about reachable regions', () => {
  const EITHER = { ...ALL_REGION_RULES, writesIn: 'either', rechecksEverywhere: true } as const;
  const SOME = ['1', 'u', 'd', 'c', '1e', 'e1', 'de', 'dc', 'c1e'];

  test('disagreeing processes lose nothing while checks wait for replication and cover every region', () => {
    const { states, violations } = exploreRegions(EITHER, SOME);
    expect(violations).toEqual([]);
    expect(states).toBeGreaterThan(10_000);
  });

  test('a check in one region alone accepts a state that the other never keeps, even without Edge clients', () => {
    const { violations } = exploreRegions({ ...EITHER, waits: 'not', rechecksEverywhere: false }, ['1', 'd']);
    expect(violations).toEqual([`1: ${DIFFERS}`, `d: ${BACK}`]);
  });

  test('with regions apart for longer than checks wait, only documents that Edge clients write may lose', () => {
    const { violations } = exploreRegions({ ...EITHER, waits: 'not' }, ['1', 'd', 'c', '1e']);
    expect(violations).not.toEqual([]);
    expect(violations.filter((what) => !/^\w*e\w*:/.test(what))).toEqual([]);
  });
});

// The largest of all: seconds by itself, a minute on a busy machine.
describe('a process that fails over while the home region is dark, and returns', { timeout: 900_000 }, () => {
  const FAILOVER = { ...ALL_REGION_RULES, writesIn: 'failover', rechecksEverywhere: true } as const;
  /** Without Edge clients, which bring back documents inserted and deleted while regions were apart, as shown above. */
  const APART = { ...FAILOVER, waits: 'not' } as const;
  const WITHOUT_CLIENTS = ['1', 'u', 'd', 'c', '1u', 'dc', 'cd', 'D', 'cD'];
  const WITH_CLIENTS = ['e', 'h', 'e1', 'h1', '1h', 'de', 'De', 'ce'];
  const LOST = "an Edge client's write is lost outside the window";

  test("failover loses nothing of Core, and no Edge client's write that we had when we wrote", () => {
    const { states, violations } = exploreRegions(FAILOVER, [...WITHOUT_CLIENTS, ...WITH_CLIENTS]);
    expect(violations).toEqual([]);
    expect(states).toBeGreaterThan(10_000);
  });

  test('failover loses nothing of Core even with regions apart for longer than checks wait', () => {
    expect(exploreRegions(APART, WITHOUT_CLIENTS).violations).toEqual([]);
  });

  test('if checks ended before the home region has a write, it would never get it', () => {
    expect(exploreRegions(APART, ['1h']).violations).toEqual([]);
    expect(exploreRegions({ ...APART, rechecksEverywhere: false }, ['1h']).violations).toEqual([`1h: ${DIFFERS}`]);
  });

  test('a return before the home region has the writes made elsewhere would replace what was built on them', () => {
    expect(exploreRegions({ ...FAILOVER, returnsWithProof: false }, ['e1']).violations).toEqual([`e1: ${LOST}`]);
  });

  test('what was seen elsewhere before the process wrote there does not show that the home region has its writes', () => {
    expect(exploreRegions({ ...FAILOVER, looksAfterWriting: false }, ['e1']).violations).toEqual([`e1: ${LOST}`]);
  });

  test('writes of a process that waits for the home region do not keep it from returning, and lose nothing of Core', () => {
    expect(exploreRegions(FAILOVER, ['1e2', '12u'], ['done']).violations).toEqual([]);
  });

  test('a copy that also failed over would replace documents that Edge clients had created at home', () => {
    expect(exploreRegions({ ...FAILOVER, copyWaits: false }, ['h']).violations).toEqual([`h: ${LOST}`]);
  });

  test('a listing of an environment in another region would miss documents of the home region', () => {
    expect(exploreRegions({ ...APART, listsAtHome: false }, ['D']).violations).toEqual([`D: ${BACK}`]);
  });

  test('an unanswered write to the home region that is forgotten could revert a later one', () => {
    const { violations } = exploreRegions({ ...FAILOVER, awaitsLate: false }, ['1u', 'cd']);
    expect(violations).toEqual([`cd: ${BACK}`, `1u: ${DIFFERS}`]);
  });
});
