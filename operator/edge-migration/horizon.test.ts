import type { Status } from '@edge-migration/contract/edge-migration/api.ts';
import { describe, expect, test } from 'vitest';
import { findHorizon } from './horizon.ts';
import type { StatusRecord } from './record.ts';
import { migration, NOON } from './testing/facts.ts';

const DAY = 24 * 60 * 60 * 1000;
const time = (daysAgo: number) => new Date(NOON - daysAgo * DAY).toISOString();
const copied = (daysAgo: number): Status => ({ copy: { startTime: time(daysAgo) } });
const succeeded = (status: 'True' | 'Unknown') => ({
  type: 'Succeeded',
  status,
  reason: 'WindowClosed',
  message: '',
  lastTransitionTime: time(0),
});

const horizon = (statuses: readonly Status[], record?: StatusRecord) =>
  (NOON -
    findHorizon(
      statuses.map((status) => migration({ status })),
      () => record,
      NOON,
    )) /
  DAY;

describe('the horizon for gaps', () => {
  test('is one day before now if nothing was copied', () => {
    expect(horizon([])).toBe(1);
    expect(horizon([{}])).toBe(1);
  });

  test('is one day before the first copy of an unfinished migration', () => {
    expect(horizon([copied(3), { ...copied(20), conditions: [succeeded('Unknown')] }, copied(5)])).toBe(21);
  });

  test('is one day before the recorded copy of a migration that has lost its status', () => {
    expect(horizon([{}, copied(3)], { copy: { startTime: time(9) } })).toBe(10);
  });

  test('ignores the copies of finished migrations', () => {
    expect(horizon([copied(3), { ...copied(20), conditions: [succeeded('True')] }])).toBe(4);
  });
});
