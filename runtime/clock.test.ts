import { expect, onTestFinished, test, vi } from 'vitest';
import { systemClock } from './clock.ts';

/** The times that timers are given from now on; Node warns of negative ones. */
function watchTimers(): () => (number | undefined)[] {
  const timers = vi.spyOn(globalThis, 'setTimeout');
  onTestFinished(() => void timers.mockRestore());
  return () => timers.mock.calls.map(([, milliseconds]) => milliseconds);
}

test('a time that has passed is no wait', async () => {
  const timers = watchTimers();
  await systemClock.sleep(-1.5);
  expect(timers()).toEqual([0]);
});

test('a sleep rejects with the reason of its signal, before it and during it', async () => {
  const stop = new AbortController();
  const sleep = systemClock.sleep(60_000, stop.signal);
  stop.abort(new Error('stopped'));
  await expect(sleep).rejects.toThrow('stopped');
  await expect(systemClock.sleep(0, stop.signal)).rejects.toThrow('stopped');
});

test('a sleep of more than 24 days is one of several timers, which would otherwise end at once', async () => {
  const timers = watchTimers();
  const stop = new AbortController();
  const sleep = systemClock.sleep(28 * 24 * 3_600_000, stop.signal);
  stop.abort(new Error('stopped'));
  await expect(sleep).rejects.toThrow('stopped');
  expect(timers()).toEqual([2 ** 31 - 1]);
});
