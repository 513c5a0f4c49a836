import { type Status, specSchema } from '@edge-migration/contract/edge-migration/api.ts';
import { describe, expect, test } from 'vitest';
import type { Detail } from '../client/types.ts';
import { countDown, listFindings, listSteps, shareOf, sortPhases } from './state.ts';

type Holds = 'True' | 'False' | 'Unknown';
const conditions = (states: Record<string, Holds>): Status => ({
  conditions: Object.entries(states).map(([type, status]) => ({
    ...{ type, status, reason: 'Told', message: '', lastTransitionTime: '2026-05-04T12:00:00Z' },
  })),
});

function road(mode: 'Migrate' | 'Plan', status: Status, others: Partial<Detail> = {}) {
  const spec = specSchema.parse({ projectId: 42, mode });
  return listSteps({ mode, status, spec, outcome: null, ...others }).map(({ state }) => state);
}

describe('the steps of a migration', () => {
  test('the steps begin with the plan', () => {
    expect(road('Plan', conditions({ Accepted: 'True' }))).toEqual(['now', 'next', 'next', 'next', 'next']);
  });

  test('the steps stop after a plan until the migration is started', () => {
    const status = { plan: { completionTime: '2026-05-04T12:00:00Z' } };
    expect(road('Plan', status, { outcome: 'succeeded' })).toEqual(['done', 'next', 'next', 'next', 'next']);
  });

  test('the copy is the current step while it runs, and is marked when it has failed', () => {
    const status = { ...conditions({ Accepted: 'True' }), copy: { startTime: '2026-05-04T12:00:00Z' } };
    expect(road('Migrate', status)).toEqual(['done', 'now', 'next', 'next', 'next']);
    expect(road('Migrate', status, { outcome: 'failed' })[1]).toBe('failed');
  });

  test('following Core is the current step while both stores are compared', () => {
    const comparison = { run: 1, trigger: 'AfterCopy', mode: 'Report', authority: 'Core' } as const;
    const status: Status = {
      ...conditions({ Accepted: 'True', Copied: 'True' }),
      verification: { current: { ...comparison, startTime: '2026-05-04T12:00:00Z' } },
    };
    expect(road('Migrate', status)).toEqual(['done', 'done', 'now', 'now', 'next']);
  });

  test('the steps end when everything has succeeded', () => {
    const status = conditions({ Accepted: 'True', Copied: 'True', Verified: 'True' });
    expect(road('Migrate', status, { outcome: 'succeeded' })).toEqual(Array(5).fill('done'));
  });

  test('the steps omit what the spec omits', () => {
    const spec = specSchema.parse({ projectId: 42, replay: { windowSeconds: 0 }, verify: { afterCopy: 'Never' } });
    const status = conditions({ Accepted: 'True', Copied: 'True' });
    expect(road('Migrate', status, { spec, outcome: 'succeeded' })).toEqual([
      'done',
      'done',
      'skipped',
      'skipped',
      'done',
    ]);
  });
});

test('a project without identities is fully copied; an uncounted one has no share', () => {
  expect(shareOf({ identities_total: 0, identities_read: 0 })).toBe(1);
  expect(shareOf({ identities_total: null, identities_read: null })).toBeUndefined();
  expect(shareOf({ identities_total: 200, identities_read: 50 })).toBe(0.25);
  expect(shareOf({ identities_total: 200, identities_read: 250 })).toBe(1);
});

test('a deadline counts down to its last second, and never below zero', () => {
  const deadline = Date.UTC(2026, 4, 29, 12);
  const begin = Date.UTC(2026, 4, 1, 12);
  const before = countDown(deadline, begin, Date.UTC(2026, 4, 15, 11, 59, 58.5));
  expect(before).toMatchObject({ isOver: false, days: 14, hours: 0, minutes: 0, seconds: 2 });
  expect(before.passed).toBeCloseTo(0.5, 3);
  expect(countDown(deadline, begin, deadline + 5000)).toMatchObject({ isOver: true, days: 0, seconds: 0, passed: 1 });
  expect(countDown(deadline, undefined, deadline).passed).toBeUndefined();
});

test('differences are listed by kind in descending order, without empty kinds', () => {
  const status = { verification: { last: { findings: { missing: 2, extra: 0, differing: 7 } } } } as Status;
  expect(listFindings(status)).toEqual([
    { kind: 'differing', count: 7 },
    { kind: 'missing', count: 2 },
  ]);
  expect(listFindings({})).toEqual([]);
});

test('states that need attention come before those that do not, and unknown ones last', () => {
  expect(sortPhases(['Succeeded', 'Zebra', 'Copying', 'Failed', 'Alpha'])).toEqual([
    ...['Failed', 'Copying', 'Succeeded', 'Alpha', 'Zebra'],
  ]);
});
