import type { Clock } from '@edge-migration/runtime/clock.ts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createWriteBudget } from './rate.ts';

/** Time moves only while a sleep is pending; one sleeper at a time, as in the budget. */
function createSleepClock(): Clock & { pass(milliseconds: number): void } {
  let elapsed = 0;
  return {
    now: () => elapsed,
    monotonic: () => elapsed,
    async sleep(milliseconds, signal) {
      signal?.throwIfAborted();
      elapsed += milliseconds;
    },
    pass(milliseconds) {
      elapsed += milliseconds;
    },
  };
}

describe('the write budget', () => {
  test('the write budget never exceeds its maximum by more than one request and a short burst', async () => {
    const requests = fc.array(fc.record({ units: fc.integer({ min: 1, max: 500 }), pause: fc.nat(300) }), {
      minLength: 1,
      maxLength: 50,
    });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 10, max: 1000 }), requests, async (maximum, sequence) => {
        const clock = createSleepClock();
        const budget = createWriteBudget({ clock, maximum });
        let units = 0;
        for (const request of sequence) {
          clock.pass(request.pause);
          await budget.take(request.units);
          units += request.units;
          // The last request may be in debt, and half a second of rest may have been saved up.
          expect(units - request.units).toBeLessThanOrEqual(maximum * (clock.monotonic() / 1000 + 0.5) + 1e-6);
        }
      }),
    );
  });

  test('the write budget admits requests in the order in which they asked', async () => {
    const budget = createWriteBudget({ clock: createSleepClock(), maximum: 10 });
    const order: number[] = [];
    await Promise.all([40, 1, 20].map((units, index) => budget.take(units).then(() => order.push(index))));
    expect(order).toEqual([0, 1, 2]);
  });

  test('the write budget accounts for real consumption before it admits the next request', async () => {
    const clock = createSleepClock();
    const budget = createWriteBudget({ clock, maximum: 100 });
    await budget.take(10);
    budget.settle(10, 210);
    await budget.take(1);
    expect(clock.monotonic()).toBeGreaterThanOrEqual(2090);
    expect(budget.spent().units).toBe(211);
  });

  test('the write budget lowers its rate when DynamoDB throttles, once for concurrent throttling', () => {
    const clock = createSleepClock();
    const budget = createWriteBudget({ clock, maximum: 900 });
    budget.throttled(3);
    budget.throttled();
    expect(budget.rate()).toBeCloseTo(600);
    clock.pass(600);
    budget.throttled();
    expect(budget.rate()).toBeLessThan(420);
    expect(budget.spent().throttled).toBe(5);
  });

  test('the write budget never stops writing, however long the throttling lasts', () => {
    const clock = createSleepClock();
    const budget = createWriteBudget({ clock, maximum: 50 });
    for (let cuts = 0; cuts < 100; cuts++) {
      clock.pass(501);
      budget.throttled();
      expect(budget.rate()).toBeGreaterThanOrEqual(5);
    }
  });

  test('the write budget is back at its maximum a minute after the last throttling', () => {
    const clock = createSleepClock();
    const budget = createWriteBudget({ clock, maximum: 4000 });
    budget.throttled();
    clock.pass(60_000);
    expect(budget.rate()).toBe(4000);
  });

  test('the write budget follows a new maximum at once, up and down', () => {
    const budget = createWriteBudget({ clock: createSleepClock(), maximum: 100 });
    budget.setMaximum(1000);
    expect(budget.rate()).toBe(1000);
    budget.setMaximum(10);
    expect(budget.rate()).toBe(10);
  });

  test('the write budget admits the others when a waiting request gives up', async () => {
    const budget = createWriteBudget({ clock: createSleepClock(), maximum: 10 });
    const controller = new AbortController();
    await budget.take(100);
    const givesUp = budget.take(5, controller.signal);
    const waits = budget.take(5);
    controller.abort(new Error('stop'));
    await expect(givesUp).rejects.toThrow('stop');
    await waits;
    expect(budget.spent().units).toBe(105);
  });
});
