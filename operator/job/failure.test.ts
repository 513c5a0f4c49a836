import { ConvergenceContentionError } from '@edge-migration/identity/converge.ts';
import {
  CoreError,
  CoreRefusedError,
  CoreUnreachableError,
  ResultTooLargeError,
} from '@edge-migration/identity/core/errors.ts';
import {
  DeadlinePassedError,
  EdgeRefusedError,
  EdgeThrottledError,
  EdgeUnreachableError,
  TableMissingError,
  WriteRejectedError,
} from '@edge-migration/identity/edge/table/errors.ts';
import { ConflictError, InvalidError, UnreachableError } from '@edge-migration/kubernetes/errors.ts';
import { ConfigurationError } from '@edge-migration/runtime/configuration.ts';
import { createFakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { describe, expect, test } from 'vitest';
import { exitCode, RangeTakenOverError, withRetry } from './failure.ts';

const api = { status: 0, reason: 'Test', disposition: 'transient' } as const;

test.each([
  [64, new ConfigurationError('wrong variable')],
  [64, new CoreRefusedError('wrong password')],
  [64, new TableMissingError('no table')],
  [64, new EdgeRefusedError('no permission')],
  [75, new CoreUnreachableError('database down')],
  [75, new EdgeUnreachableError('no answer')],
  [75, new EdgeThrottledError('too fast')],
  [75, new DeadlinePassedError('too late to send')],
  [75, new ConvergenceContentionError('another write came first')],
  [75, new ConflictError('changed meanwhile', { ...api, disposition: 'conflict' })],
  [75, new RangeTakenOverError('copy-1')],
  [75, new UnreachableError('API server down', api)],
  [65, new CoreError('page cannot be read')],
  [65, new ResultTooLargeError('page is too large')],
  [65, new WriteRejectedError('item is too large')],
  [65, new InvalidError('object refused', { ...api, disposition: 'rejected' })],
  [65, new TypeError('a bug')],
])('exit code %d for: %s', (code, error) => {
  expect(exitCode(error)).toBe(code);
});

describe('a step that is retried', () => {
  const signal = new AbortController().signal;

  test('is repeated after temporary failures until it succeeds', async () => {
    const clock = createFakeClock();
    let attempts = 0;
    const working = withRetry({ clock, retryBudgetMs: 60_000, signal }, async () => {
      if (++attempts < 4) throw new CoreUnreachableError('down');
      return 'up';
    });
    await clock.advance(10_000);
    expect(await working).toBe('up');
  });

  test('fails with the last failure after the configured time', async () => {
    const clock = createFakeClock();
    const failing = withRetry({ clock, retryBudgetMs: 60_000, signal }, async () => {
      throw new CoreUnreachableError('down');
    });
    const outcome = expect(failing).rejects.toThrow('down');
    await clock.advance(80_000);
    await outcome;
    expect(clock.pending()).toEqual([]);
  });

  test('is not repeated after another pod has taken over the range', async () => {
    const clock = createFakeClock();
    const failing = withRetry({ clock, retryBudgetMs: 60_000, signal }, async () => {
      throw new RangeTakenOverError('copy-1');
    });
    await expect(failing).rejects.toThrow('copy-1');
  });

  test('is not repeated after a permanent failure', async () => {
    let attempts = 0;
    const clock = createFakeClock();
    const failing = withRetry({ clock, retryBudgetMs: 60_000, signal }, async () => {
      attempts++;
      throw new CoreRefusedError('wrong password');
    });
    await expect(failing).rejects.toThrow('wrong password');
    expect(attempts).toBe(1);
  });
});
