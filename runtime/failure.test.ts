import { expect, test } from 'vitest';
import { dispositionOf, retryAfterOf } from './failure.ts';

class BusyError extends Error {
  readonly disposition = 'throttled';
  readonly retryAfterMs = 3_000;
}

test('the disposition of an error is the one that it declares', () => {
  expect(dispositionOf(new BusyError())).toBe('throttled');
  expect(retryAfterOf(new BusyError())).toBe(3_000);
});

test.each([new TypeError('a mistake'), 'text', undefined, null, { disposition: 'transient' }])(
  '%o has no disposition',
  (thrown) => {
    expect(dispositionOf(thrown)).toBeUndefined();
    expect(retryAfterOf(thrown)).toBeUndefined();
  },
);
