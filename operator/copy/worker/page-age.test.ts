import { createFakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { expect, test } from 'vitest';
import { startPageAge } from './page-age.ts';

test('a page may be written for the configured time, measured from before it was read', async () => {
  const clock = createFakeClock();
  const age = startPageAge(clock, 30_000);
  await clock.advance(29_000);
  expect(age.left()).toBe(1000);
  await clock.advance(1001);
  expect(age.left()).toBeLessThan(0);
});

test('a page becomes no younger when the wall clock is set back', async () => {
  const clock = createFakeClock();
  const age = startPageAge(clock, 30_000);
  await clock.advance(31_000);
  clock.skew(-3_600_000);
  expect(age.left()).toBeLessThan(0);
});

test('a page also ages while the monotonic clock stands still', () => {
  const clock = createFakeClock();
  const age = startPageAge(clock, 30_000);
  clock.skew(60_000);
  expect(age.left()).toBeLessThan(0);
});
