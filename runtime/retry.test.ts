import { expect, test, vi } from 'vitest';
import type { Disposition, Failure } from './failure.ts';
import { type RetryOptions, retry } from './retry.ts';
import { createFakeClock } from './testing/fake-clock.ts';

const POLICY = { firstMs: 100, longestMs: 1_000 };

function failure(disposition: Disposition, retryAfterMs?: number): Failure {
  return Object.assign(new Error(disposition), { disposition, retryAfterMs });
}

/** Work that fails as specified, and then succeeds; the fake clock's random is at its midpoint. */
function start(failures: readonly unknown[], options: Partial<RetryOptions> = {}) {
  const clock = createFakeClock();
  const left = [...failures];
  const times: number[] = [];
  const work = async () => {
    times.push(clock.monotonic());
    if (left.length > 0) throw left.shift();
    return 'done';
  };
  const result = retry(work, { policy: POLICY, clock, random: () => 0.5, ...options });
  result.catch(() => {});
  return { clock, times, result };
}

const repeat = (error: unknown, count: number) => new Array<unknown>(count).fill(error);

test('transient failures are retried, with pauses that grow up to the longest', async () => {
  const { clock, times, result } = start(repeat(failure('transient'), 6));
  await clock.advance(10_000);
  expect(await result).toBe('done');
  expect(times).toEqual([0, 75, 225, 525, 1_125, 1_875, 2_625]);
});

test('throttled work waits for twice as long', async () => {
  const { clock, times } = start(repeat(failure('throttled'), 2));
  await clock.advance(10_000);
  expect(times).toEqual([0, 150, 450]);
});

test('pauses are random', async () => {
  const pauses = [0, 0.999].map((chance) => {
    const { clock } = start([failure('transient')], { random: () => chance });
    return clock.sleepers(1).then(() => clock.pending()[0]);
  });
  expect(await Promise.all(pauses)).toEqual([50, expect.closeTo(100, 0)]);
});

test.each(['conflict', 'misconfigured', 'rejected'] as const)('%s failures end it at once', async (disposition) => {
  const { times, result } = start([failure(disposition)]);
  await expect(result).rejects.toThrow(disposition);
  expect(times).toEqual([0]);
});

test('an unknown error ends the work at once', async () => {
  const { times, result } = start([new TypeError('a mistake')]);
  await expect(result).rejects.toThrow('a mistake');
  expect(times).toEqual([0]);
});

test('the caller may decide what is worth a retry; a first conflict needs no pause', async () => {
  const { clock, times, result } = start(repeat(failure('conflict'), 3), { isWorthIt: () => true });
  await clock.advance(10_000);
  expect(await result).toBe('done');
  expect(times).toEqual([0, 0, 75, 225]);
});

test('a limit of attempts ends the work with the last failure', async () => {
  const last = failure('transient');
  const { clock, times, result } = start([...repeat(failure('transient'), 2), last, failure('transient')], {
    policy: { ...POLICY, attempts: 3 },
  });
  await clock.advance(10_000);
  await expect(result).rejects.toBe(last);
  expect(times.length).toBe(3);
});

test('a time limit ends the work with the first failure after it', async () => {
  const { clock, times, result } = start(repeat(failure('transient'), 9), { policy: { ...POLICY, budgetMs: 500 } });
  await clock.advance(10_000);
  await expect(result).rejects.toThrow('transient');
  expect(times).toEqual([0, 75, 225, 525]);
  expect(clock.pending()).toEqual([]);
});

test('without limits there is one attempt', async () => {
  const { times, result } = start([failure('transient')], { policy: { ...POLICY, budgetMs: 0 } });
  await expect(result).rejects.toThrow('transient');
  expect(times).toEqual([0]);
});

test('a retry after a requested wait comes no earlier, and not together with all others', async () => {
  const { clock, times } = start([failure('throttled', 3_000)]);
  await clock.advance(2_999);
  expect(times).toEqual([0]);
  await clock.advance(51);
  expect(times).toEqual([0, 3_050]);
});

test.each([{ longestRetryAfterMs: 10_000 }, { budgetMs: 10_000 }])(
  'a requested wait of more than %o is an error at once',
  async (limit) => {
    const { clock, result } = start([failure('throttled', 10_001)], { policy: { ...POLICY, ...limit } });
    await expect(result).rejects.toThrow('throttled');
    expect(clock.pending()).toEqual([]);
  },
);

test('each failure that is retried is reported, before the pause', async () => {
  const onRetry = vi.fn();
  const [first, second] = [failure('transient'), failure('rejected')];
  const { clock, result } = start([first, second], { onRetry });
  await clock.sleepers(1);
  expect(onRetry.mock.calls).toEqual([[first]]);
  await clock.advance(10_000);
  await expect(result).rejects.toBe(second);
  expect(onRetry).toHaveBeenCalledTimes(1);
});

test('an abort ends the pause with its reason', async () => {
  const stop = new AbortController();
  const { clock, result } = start([failure('transient')], { signal: stop.signal });
  await clock.sleepers(1);
  stop.abort(new Error('stop'));
  await expect(result).rejects.toThrow('stop');
  expect(clock.pending()).toEqual([]);
});

test('work that fails because of the abort rejects with the reason of the abort', async () => {
  const stop = new AbortController();
  const working = retry(
    async () => {
      stop.abort(new Error('stop'));
      throw new Error('the socket was closed');
    },
    { policy: POLICY, clock: createFakeClock(), signal: stop.signal },
  );
  await expect(working).rejects.toThrow('stop');
});

test('nothing is started once the signal is aborted', async () => {
  const { times, result } = start([], { signal: AbortSignal.abort(new Error('stop')) });
  await expect(result).rejects.toThrow('stop');
  expect(times).toEqual([]);
});
