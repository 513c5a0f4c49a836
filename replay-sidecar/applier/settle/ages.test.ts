import { createFakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { expect, test } from 'vitest';
import { createAges } from './ages.ts';

test('a message is as old as the check at which the stream had it', async () => {
  const clock = createFakeClock();
  const ages = createAges(clock, 10_000);
  ages.notice(5);
  expect(ages.lastOld()).toBe(0);
  await clock.advance(4000);
  ages.notice(9);
  await clock.advance(6000);
  expect(ages.lastOld()).toBe(5);
  await clock.advance(4000);
  expect(ages.lastOld()).toBe(9);
});

test('a wall clock that is set forward makes no message older', async () => {
  const clock = createFakeClock();
  const ages = createAges(clock, 10_000);
  ages.notice(5);
  clock.skew(3_600_000);
  await clock.advance(1000);
  expect(ages.lastOld()).toBe(0);
});

test('no age is known in a stream that begins again', async () => {
  const clock = createFakeClock();
  const ages = createAges(clock, 10_000);
  ages.notice(5);
  await clock.advance(20_000);
  ages.notice(2);
  expect(ages.lastOld()).toBe(0);
});
