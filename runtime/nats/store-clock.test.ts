import { expect, test } from 'vitest';
import { createFakeClock } from '../testing/fake-clock.ts';
import { createStoreClock } from './store-clock.ts';

const NOON = Date.parse('2026-05-04T12:00:00Z');
const iso = (time: number) => new Date(time).toISOString();

test('the stream’s time continues between its responses, whatever happens to the clock of this process', async () => {
  const clock = createFakeClock(0);
  const store = createStoreClock(clock);
  expect(store.now()).toBeUndefined();
  store.notice(undefined);
  store.notice('no time');
  expect(store.now()).toBeUndefined();
  store.notice(iso(NOON));
  await clock.advance(10_000);
  clock.skew(-3_600_000);
  expect(store.now()).toBe(NOON + 10_000);
});

test('a slow response does not set the stream’s time back, nor a fast one forward', async () => {
  const clock = createFakeClock(0);
  const store = createStoreClock(clock);
  store.notice(iso(NOON));
  await clock.advance(10_000);
  store.notice(iso(NOON + 7_000));
  expect(store.now()).toBe(NOON + 7_000);
  await clock.advance(10_000);
  store.notice(iso(NOON + 20_000));
  expect(store.now()).toBe(NOON + 17_000);
});

test('a server clock that is set forward is followed within minutes, and one that is set back at once', async () => {
  const clock = createFakeClock(0);
  const store = createStoreClock(clock);
  store.notice(iso(NOON));
  for (let minute = 1; minute <= 11; minute++) {
    await clock.advance(61_000);
    store.notice(iso(NOON + minute * 61_000 + 180_000));
    if (minute === 4) expect(store.now()).toBe(NOON + 4 * 61_000);
  }
  expect(store.now()).toBe(NOON + 11 * 61_000 + 180_000);
  store.notice(iso(NOON));
  expect(store.now()).toBe(NOON);
});
