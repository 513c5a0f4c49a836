import type { Clock } from '@edge-migration/identity/clock.ts';
import { systemClock } from '@edge-migration/identity/clock.ts';
import { expect, test } from 'vitest';
import { createIdleTimes } from './idle-times.ts';
import { migration, NOON } from './testing/facts.ts';

test('a migration is idle since it was first seen so, and anew after pods have worked or it was made anew', () => {
  let now = NOON;
  const clock: Clock = { ...systemClock, now: () => now };
  const { notice } = createIdleTimes(clock);
  expect(notice(migration(), false)).toBeUndefined();
  expect(notice(migration(), true)).toBe(NOON);
  now += 60_000;
  expect(notice(migration(), true)).toBe(NOON);
  expect(notice(migration({ uid: 'another' }), true)).toBe(now);
  expect(notice(migration({ uid: 'another' }), false)).toBeUndefined();
  now += 60_000;
  expect(notice(migration({ uid: 'another' }), true)).toBe(now);
});
