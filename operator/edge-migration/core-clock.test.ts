import { createFakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { expect, test } from 'vitest';
import { createCoreClock } from './core-clock.ts';

const NOON = Date.parse('2026-05-04T12:00:00Z');

/** Runs with a Core clock that is so far ahead, and whose answer takes `took` milliseconds. */
async function follow(ahead: number, took: number, seconds: number, isNatsKnown = true) {
  const clock = createFakeClock(NOON);
  const stop = new AbortController();
  let asked = 0;
  const coreClock = createCoreClock({
    async readCoreTime() {
      asked += 1;
      if (asked === 1) throw new Error('Core is away');
      const time = clock.now() + ahead;
      clock.freeze(took);
      return time;
    },
    now: () => (isNatsKnown ? clock.now() : undefined),
    clock,
  });
  const running = coreClock.run(stop.signal);
  await clock.advance(seconds * 1000);
  stop.abort(new Error('test over'));
  await running;
  return { ahead: coreClock.ahead(), asked };
}

test("the lead of Core's clock is never overestimated, however slow the answer is", async () => {
  for (const took of [0, 800]) {
    const { ahead, asked } = await follow(300_000, took, 10);
    expect(ahead).toBe(300_000 - took - 1000);
    expect(asked).toBe(2);
  }
});

test("Core's clock is read every half minute after its first answer", async () => {
  expect((await follow(0, 0, 100)).asked).toBe(5);
});

test("Core's clock is not read while there is no other clock to compare with", async () => {
  expect(await follow(0, 0, 100, false)).toEqual({ ahead: undefined, asked: 0 });
});
