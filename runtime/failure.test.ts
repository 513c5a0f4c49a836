import { expect, test } from 'vitest';
import { dispositionOf, retryAfterOf } from './failure.ts';

class BusyError extends Error {
  readonly disposition = 'throttled';
  readonly retryAfterMs = 3_000;
}

test('an error that says what may be done about it is taken at its word', () => {
  expect(dispositionOf(new BusyError())).toBe('throttled');
  expect(retryAfterOf(new BusyError())).toBe(3_000);
});

test.each([new TypeError('a mistake'), 'text', undefined, null, { disposition: 'transient' }])(
  'nothing is known about %o',
  (thrown) => {
    expect(dispositionOf(thrown)).toBeUndefined();
    expect(retryAfterOf(thrown)).toBeUndefined();
  },
);
