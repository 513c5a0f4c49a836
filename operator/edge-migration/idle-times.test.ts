import { createFakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { expect, test } from 'vitest';
import { createIdleTimes } from './idle-times.ts';
import { migration, NOON } from './testing/facts.ts';

test('a migration is idle since it was first seen idle, and again after its pods worked or it was recreated', async () => {
  const clock = createFakeClock(NOON);
  const { notice } = createIdleTimes(clock);
  expect(notice(migration(), false)).toBeUndefined();
  expect(notice(migration(), true)).toBe(NOON);
  await clock.advance(60_000);
  expect(notice(migration(), true)).toBe(NOON);
  expect(notice(migration({ uid: 'another' }), true)).toBe(clock.now());
  expect(notice(migration({ uid: 'another' }), false)).toBeUndefined();
  await clock.advance(60_000);
  expect(notice(migration({ uid: 'another' }), true)).toBe(clock.now());
});

test.for<[string, number]>([
  ['set forward by 45 s', 45_000],
  ['set back by an hour', -3_600_000],
])('a clock that is %s does not prolong the idle time of a migration', async ([, step]) => {
  const clock = createFakeClock(NOON);
  const { notice } = createIdleTimes(clock);
  notice(migration(), true);
  await clock.advance(10_000);
  clock.skew(step);
  expect(clock.now() - notice(migration(), true)!).toBe(10_000);
});

test('the idle time of a migration is forgotten with its EdgeMigration', () => {
  const times = createIdleTimes(createFakeClock(NOON));
  for (let number = 1; number <= 1000; number++) {
    const { namespace, name } = migration({ name: `project-${number}` });
    times.notice(migration({ name }), true);
    times.forget(`${namespace}/${name}`);
  }
  expect(times.size).toBe(0);
});
