import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import { describe, expect, it } from 'vitest';
import { isInGap, uncovered } from './coverage.ts';
import type { CoreWrite, JournalEntry } from './judge.ts';
import { judge, type Observation } from './verdict.ts';

const ANN: CoreWrite = { kind: 'identity', environment: 41, identifier: 'ann' };
const PLAN: CoreWrite = { kind: 'trait', environment: 41, identifier: 'ann', key: 'plan' };

function event(target: WriteEvent['target'], touched: Partial<WriteEvent['touched']> = {}): WriteEvent {
  return {
    ...{ version: 1, id: '1', outcome: 'known', route: 'x', instance: 'x', observedTime: '2026-01-01T00:00:00.000Z' },
    ...{ target, touched: { traits: [], overrides: [], ...touched }, traitGates: [] },
  };
}

const ofAnn = (touched?: Partial<WriteEvent['touched']>) =>
  event({ kind: 'identity', environment: { clientKey: 'client-key' }, identifier: 'ann' }, touched);

describe("the coverage of Core's writes", () => {
  it('matches an event to the write that it names', () => {
    expect(uncovered([ANN], [ofAnn()])).toEqual([]);
    expect(uncovered([ANN, PLAN], [ofAnn({ traits: ['plan'] })])).toEqual([]);
  });

  it('does not match an event with another name, environment or trait', () => {
    expect(uncovered([{ ...ANN, identifier: 'Ann' }], [ofAnn()])).toHaveLength(1);
    expect(uncovered([{ ...ANN, environment: 42 }], [ofAnn()])).toHaveLength(1);
    expect(uncovered([PLAN], [ofAnn({ traits: ['age'] })])).toEqual([PLAN]);
  });

  it('does not match a deleted identity by its id', () => {
    const byId = event({ kind: 'identityId', identityId: 1001 });
    expect(uncovered([{ kind: 'trait', environment: 41, identifier: 'alice', key: 'plan' }], [byId])).toHaveLength(1);
    expect(uncovered([{ kind: 'identity', environment: 41, identifier: 'alice' }], [byId])).toEqual([]);
    expect(uncovered([{ kind: 'gone', environment: 41, identifier: 'alice' }], [byId])).toHaveLength(1);
  });

  it('lets an event of the environment cover its identities, within its scope', () => {
    const all = event({ kind: 'environment', environment: { environmentId: 41 } }, { traits: 'all' });
    expect(uncovered([ANN, PLAN], [all])).toEqual([]);
    expect(uncovered([{ kind: 'environment', environment: 41, overrides: 'all' }], [all])).toHaveLength(1);
  });

  it('lets a gap cover only what it names', () => {
    expect(isInGap(ANN, { reason: 'x', scope: undefined })).toBe(true);
    expect(isInGap(ANN, { reason: 'x', scope: [{ clientKey: 'client-key' }] })).toBe(true);
    expect(isInGap(ANN, { reason: 'x', scope: [{ clientKey: 'other-key' }] })).toBe(false);
    expect(isInGap({ kind: 'unknown' }, { reason: 'x', scope: [{ featureId: 1 }] })).toBe(true);
  });
});

const entry: JournalEntry = {
  ...{ method: 'POST', path: '/api/v1/identities/', script: '', query: '', secure: false, status: 200 },
  ...{ route: 'sdk.identify', writes: [ANN] },
};

function observation(through: Partial<Observation['through']>, direct: readonly JournalEntry[] = [entry]): Observation {
  return {
    direct: { status: 200, entries: direct },
    through: { status: 200, entries: [entry], events: [], gaps: [], ...through },
  };
}

describe('the coverage verdict', () => {
  const gap = { reason: 'bodyUnreadable', scope: undefined };
  it.each([
    ['covered', 'for an event that names the write', observation({ events: [ofAnn()] })],
    ['gap', 'for a gap in its place', observation({ gaps: [gap] })],
    [
      'wrongWithGap',
      'for an event with another target and a gap',
      observation({ events: [event({ kind: 'project', projectId: 22 })], gaps: [gap] }),
    ],
    ['silent', 'without event and gap', observation({})],
    [
      'silent',
      'for a gap of another environment',
      observation({ gaps: [{ ...gap, scope: [{ clientKey: 'other-key' }] }] }),
    ],
    [
      'different',
      'if Core answers the direct request with 404',
      observation({ events: [ofAnn()] }, [{ ...entry, route: null, status: 404, writes: [] }]),
    ],
    ['repaired', 'if the direct request writes nothing', observation({ events: [ofAnn()] }, [])],
    ['different', 'if Core sees another script name', observation({ events: [ofAnn()] }, [{ ...entry, script: '/x' }])],
    ['refused', 'if Core never sees the request', observation({ entries: [] })],
    ['needlessGap', 'for a gap of a refused request', observation({ status: 403, entries: [], gaps: [gap] }, [])],
    [
      'idle',
      'for a gap of a failed request without writes',
      observation({ status: 500, entries: [], gaps: [gap] }, []),
    ],
    ['idle', 'if neither request writes', observation({ entries: [] }, [])],
  ])('is %s %s', (verdict, _, seen) => {
    expect(judge(seen).verdict).toBe(verdict);
  });
});
