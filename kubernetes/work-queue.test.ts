import { createFakeClock, type FakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import fc from 'fast-check';
import { Registry } from 'prom-client';
import { beforeEach, describe, expect, it } from 'vitest';
import { WorkQueue } from './work-queue.ts';

let clock: FakeClock;
let registry: Registry;
let queue: WorkQueue;

beforeEach(() => {
  clock = createFakeClock();
  registry = new Registry();
  queue = new WorkQueue({ name: 'test', clock, registry });
});

describe('a work queue', () => {
  it('a work queue hands out keys in order of arrival', async () => {
    for (const key of ['b', 'a', 'c']) queue.add(key);
    expect([await queue.take(), await queue.take(), await queue.take()]).toEqual(['b', 'a', 'c']);
  });

  it('a work queue holds a key once, however often it is added', async () => {
    for (const key of ['a', 'a', 'b', 'a']) queue.add(key);
    expect(queue.length).toBe(2);
  });

  it('a work queue never gives a key to two workers, and hands it out again if added meanwhile', async () => {
    queue.add('a');
    await queue.take();
    queue.add('a');
    queue.add('a');
    expect(queue.length).toBe(0);
    queue.done('a');
    expect(await queue.take()).toBe('a');
    queue.done('a');
    expect(queue.length).toBe(0);
  });

  it('a work queue wakes waiting workers one by one', async () => {
    const first = queue.take();
    const second = queue.take();
    queue.add('a');
    expect(await first).toBe('a');
    queue.add('b');
    expect(await second).toBe('b');
  });

  it('a work queue adds a delayed key at the earliest of its times', async () => {
    queue.addAfter('a', 1000);
    queue.addAfter('a', 300);
    queue.addAfter('a', 500);
    await clock.advance(299);
    expect(queue.length).toBe(0);
    await clock.advance(1);
    expect(await queue.take()).toBe('a');
    queue.done('a');
    await clock.advance(10_000);
    expect(queue.length).toBe(0);
  });

  it('a work queue forgets a delay when the key is added at once', async () => {
    queue.addAfter('a', 1000);
    queue.add('a');
    await queue.take();
    queue.done('a');
    await clock.advance(1000);
    expect(queue.length).toBe(0);
  });

  it('a work queue delays a key again if a delay ended while the key was waiting for a worker', async () => {
    queue.add('a');
    await queue.take();
    queue.add('a');
    queue.addAfter('a', 100);
    queue.done('a');
    await clock.advance(100);
    expect(await queue.take()).toBe('a');
    queue.addAfter('a', 100);
    queue.done('a');
    await clock.advance(100);
    expect(queue.length).toBe(1);
  });

  it('a work queue doubles the delay of a failing key from 5 ms to 1000 s, until it is forgotten', async () => {
    const delays: number[] = [];
    for (let i = 0; i < 20; i++) {
      queue.addRateLimited('a');
      delays.push(clock.pending()[0]!);
      await clock.advance(1_000_000);
      queue.done((await queue.take())!);
    }
    expect(delays.slice(0, 5)).toEqual([5, 10, 20, 40, 80]);
    expect(delays.slice(-3)).toEqual([655_360, 1_000_000, 1_000_000]);
    expect(queue.retries('a')).toBe(20);
    queue.forget('a');
    queue.addRateLimited('a');
    expect(clock.pending()).toEqual([5]);
  });

  it('a work queue limits the retries of all keys together to 10 a second after a burst of 100', async () => {
    for (let i = 0; i < 120; i++) queue.addRateLimited(`k${i}`);
    await clock.advance(5);
    expect(queue.length).toBe(100);
    await clock.advance(95);
    expect(queue.length).toBe(101);
    await clock.advance(1000);
    expect(queue.length).toBe(111);
  });

  it('shutting down drops waiting keys, ends delays, releases workers and waits for keys in progress', async () => {
    queue.add('a');
    await queue.take();
    queue.add('b');
    queue.addAfter('c', 1000);
    let ended = false;
    const end = queue.shutDown().then(() => {
      ended = true;
    });
    expect(await queue.take()).toBeUndefined();
    await clock.advance(2000);
    expect([ended, clock.pending()]).toEqual([false, []]);
    queue.add('a');
    queue.done('a');
    await end;
    expect(await queue.take()).toBeUndefined();
  });

  it('draining hands out waiting keys, and those added while they were in progress', async () => {
    queue.add('a');
    await queue.take();
    queue.add('a');
    queue.add('b');
    const end = queue.shutDown({ drain: true });
    queue.done('a');
    expect([await queue.take(), await queue.take()]).toEqual(['b', 'a']);
    queue.done('a');
    queue.done('b');
    await end;
    expect(await queue.take()).toBeUndefined();
  });

  it('shutting down releases waiting workers', async () => {
    const taking = queue.take();
    await queue.shutDown();
    expect(await taking).toBeUndefined();
  });

  it('a work queue reports client-go’s metrics', async () => {
    queue.add('a');
    queue.add('b');
    await clock.advance(2000);
    await queue.take();
    await clock.advance(3000);
    queue.addRateLimited('c');
    const text = await registry.metrics();
    expect(text).toContain('workqueue_depth{name="test"} 1');
    expect(text).toContain('workqueue_adds_total{name="test"} 2');
    expect(text).toContain('workqueue_retries_total{name="test"} 1');
    expect(text).toContain('workqueue_queue_duration_seconds_sum{name="test"} 2');
    expect(text).toContain('workqueue_unfinished_work_seconds{name="test"} 3');
    expect(text).toContain('workqueue_longest_running_processor_seconds{name="test"} 3');
    queue.done('a');
    expect(await registry.metrics()).toContain('workqueue_work_duration_seconds_sum{name="test"} 3');
  });

  it('a work queue loses no addition and never works on a key twice at a time, in any order of events', async () => {
    const key = fc.constantFrom('a', 'b', 'c');
    const step = fc.oneof(
      fc.record({ do: fc.constant('add' as const), key }),
      fc.record({ do: fc.constant('later' as const), key }),
      fc.record({ do: fc.constant('take' as const), key }),
      fc.record({ do: fc.constant('done' as const), key }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const time = createFakeClock();
        const tested = new WorkQueue({ name: 'p', clock: time });
        const hands = new Set<string>();
        /** Added since it was last taken: must still come. */
        const owed = new Set<string>();
        const takeOne = async () => {
          const taken = (await tested.take())!;
          expect(hands.has(taken)).toBe(false);
          hands.add(taken);
          owed.delete(taken);
        };
        for (const { do: action, key } of steps) {
          if (action === 'add') tested.add(key);
          if (action === 'later') tested.addAfter(key, 10);
          if (action === 'add' || action === 'later') owed.add(key);
          if (action === 'take' && tested.length > 0) await takeOne();
          if (action === 'done' && hands.delete(key)) tested.done(key);
        }
        await time.advance(10);
        for (let round = 0; round < 2; round++) {
          for (const each of hands) tested.done(each);
          hands.clear();
          while (tested.length > 0) await takeOne();
        }
        expect([...owed]).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});
