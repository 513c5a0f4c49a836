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

describe('where several processes go on in another region, and disagree about which can be reached', () => {
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

describe('while the home region is dark, a process goes on in the other one, and comes back', () => {
  const FAILOVER = { ...ALL_REGION_RULES, writesIn: 'failover', looksEverywhere: true } as const;
  /** Without Edge clients; those bring back what was inserted and deleted while the regions were apart, as shown above. */
  const APART = { ...FAILOVER, waits: 'not' } as const;
  const WITHOUT_CLIENTS = ['1', 'u', 'd', 'c', '1u', 'dc', 'cd', 'D', 'cD'];
  const WITH_CLIENTS = ['e', 'h', 'e1', 'h1', '1h', 'de', 'De', 'ce'];
  const LOST = "an Edge client's write is lost outside the window";

  test("nothing of Core is lost, and no Edge client's write that we had when we wrote", () => {
    const { states, violations } = exploreRegions(FAILOVER, [...WITHOUT_CLIENTS, ...WITH_CLIENTS]);
    expect(violations).toEqual([]);
    expect(states).toBeGreaterThan(10_000);
  });

  test('nor is anything of Core where the regions are apart for longer than looks wait', () => {
    expect(exploreRegions(APART, WITHOUT_CLIENTS).violations).toEqual([]);
  });

  test('if looks were done with before the home region has it, it never would', () => {
    expect(exploreRegions(APART, ['1h']).violations).toEqual([]);
    expect(exploreRegions({ ...APART, looksEverywhere: false }, ['1h']).violations).toEqual([`1h: ${DIFFERS}`]);
  });

  test('if it came back before the home region has what was written elsewhere, what was built on there would be replaced', () => {
    expect(exploreRegions({ ...FAILOVER, returnsWithProof: false }, ['e1']).violations).toEqual([`e1: ${LOST}`]);
  });

  test('if the copy went on elsewhere, too, its inserts would replace what Edge clients had created in the home region', () => {
    expect(exploreRegions({ ...FAILOVER, copyWaits: false }, ['h']).violations).toEqual([`h: ${LOST}`]);
  });

  test('if an environment were listed elsewhere, documents that the home region alone has would be left', () => {
    expect(exploreRegions({ ...APART, listsAtHome: false }, ['D']).violations).toEqual([`D: ${BACK}`]);
  });

  test('if a write that the home region had not answered were forgotten, it could take back a later one', () => {
    const { violations } = exploreRegions({ ...FAILOVER, awaitsLate: false }, ['1u', 'cd']);
    expect(violations).toEqual([`cd: ${BACK}`, `1u: ${DIFFERS}`]);
  });
});
