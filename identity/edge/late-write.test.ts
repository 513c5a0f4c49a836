import { createFakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { expect, test } from 'vitest';
import { createLateWrites } from './late-write.ts';

const signal = new AbortController().signal;

test('the wait is over at once if no write was lost', async () => {
  await createLateWrites(createFakeClock(), 65_000).settled(signal);
});

test('the last lost write is waited for, and no step of the wall clock shortens that', async () => {
  const clock = createFakeClock();
  const late = createLateWrites(clock, 65_000);
  late.lost();
  await clock.advance(60_000);
  late.lost();
  let isSettled = false;
  const settling = late.settled(signal).then(() => {
    isSettled = true;
  });
  clock.skew(3_600_000);
  await clock.advance(64_000);
  expect(isSettled).toBe(false);
  await clock.advance(1000);
  await settling;
});

test('a process that ends stops waiting', async () => {
  const late = createLateWrites(createFakeClock(), 65_000);
  late.lost();
  await expect(late.settled(AbortSignal.abort(new Error('stop')))).rejects.toThrow('stop');
});
