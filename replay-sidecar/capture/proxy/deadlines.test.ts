import type { Clock } from '@edge-migration/runtime/clock.ts';
import { expect, test } from 'vitest';
import { createDeadlines } from './deadlines.ts';

/** A clock that stands still until it is advanced. */
function createSteppedClock() {
  let now = 0;
  let sleepers: { readonly until: number; readonly wake: () => void }[] = [];
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    sleep: (milliseconds) => new Promise((wake) => sleepers.push({ until: now + milliseconds, wake })),
  };
  return {
    clock,
    get sleeping() {
      return sleepers.length;
    },
    /** Time goes on while the process does not run. */
    freeze(milliseconds: number) {
      now += milliseconds;
    },
    async advance(milliseconds: number) {
      for (const end = now + milliseconds; now < end; ) {
        now += 1;
        const due = sleepers.filter(({ until }) => until <= now);
        sleepers = sleepers.filter(({ until }) => until > now);
        for (const { wake } of due) wake();
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}

test('deadlines expire once, in their order, at most a tick late', async () => {
  const stepped = createSteppedClock();
  const deadlines = createDeadlines(stepped.clock);
  const expired: string[] = [];
  deadlines.set(100, () => expired.push('long'));
  deadlines.set(30, () => expired.push('short'));
  await stepped.advance(10);
  deadlines.set(30, () => expired.push('short, later'));
  await stepped.advance(19);
  expect(expired).toEqual([]);
  await stepped.advance(36);
  expect(expired).toEqual(['short', 'short, later']);
  await stepped.advance(60);
  expect(expired).toEqual(['short', 'short, later', 'long']);
  await stepped.advance(300);
  expect(expired).toHaveLength(3);
});

test('a process that was frozen has time to see what came meanwhile', async () => {
  const stepped = createSteppedClock();
  const deadlines = createDeadlines(stepped.clock);
  const expired: string[] = [];
  deadlines.set(250, () => expired.push('before'));
  await stepped.advance(40);
  stepped.freeze(10_000);
  deadlines.set(250, () => expired.push('after'));
  await stepped.advance(100);
  expect(expired).toEqual([]);
  await stepped.advance(175);
  expect(expired).toEqual(['before', 'after']);
});

test('a deadline that is cancelled does not expire', async () => {
  const stepped = createSteppedClock();
  const deadlines = createDeadlines(stepped.clock);
  const expired: string[] = [];
  const deadline = deadlines.set(50, () => expired.push('cancelled'));
  deadlines.set(50, () => expired.push('kept'));
  deadline.cancel();
  await stepped.advance(100);
  expect(expired).toEqual(['kept']);
});

test('a deadline may set the next', async () => {
  const stepped = createSteppedClock();
  const deadlines = createDeadlines(stepped.clock);
  let count = 0;
  const again = () => {
    count += 1;
    if (count < 3) deadlines.set(25, again);
  };
  deadlines.set(25, again);
  await stepped.advance(300);
  expect(count).toBe(3);
});

test('nothing ticks while there is no deadline, nor after the end', async () => {
  const stepped = createSteppedClock();
  const deadlines = createDeadlines(stepped.clock);
  expect(stepped.sleeping).toBe(0);
  deadlines.set(10, () => {});
  expect(stepped.sleeping).toBe(1);
  await stepped.advance(60);
  expect(stepped.sleeping).toBe(0);
  const expired: string[] = [];
  deadlines.set(10, () => expired.push('late'));
  deadlines.stop();
  deadlines.set(10, () => expired.push('too late'));
  await stepped.advance(100);
  expect(expired).toEqual([]);
  expect(stepped.sleeping).toBe(0);
});

test('a deadline whose handler throws takes no other with it', async () => {
  const stepped = createSteppedClock();
  const errors: unknown[] = [];
  const deadlines = createDeadlines(stepped.clock, (error) => errors.push(error));
  const expired: string[] = [];
  deadlines.set(25, () => {
    throw new Error('broken');
  });
  deadlines.set(25, () => expired.push('beside it'));
  deadlines.set(100, () => expired.push('after it'));
  await stepped.advance(300);
  deadlines.set(25, () => expired.push('later'));
  await stepped.advance(100);
  expect(expired).toEqual(['beside it', 'after it', 'later']);
  expect(errors).toMatchObject([{ message: 'broken' }]);
});
