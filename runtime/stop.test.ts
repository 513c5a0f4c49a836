import { expect, test } from 'vitest';
import { isStop } from './stop.ts';

const reason = new Error('SIGTERM');

test('a failure is a stop if it is the reason of the signal, or has it as its cause', () => {
  const signal = AbortSignal.abort(reason);
  expect(isStop(reason, signal)).toBe(true);
  expect(isStop(new Error('no answer', { cause: new Error('aborted', { cause: reason }) }), signal)).toBe(true);
});

test('a failure with another cause is no stop, whatever was aborted before it', () => {
  const signal = AbortSignal.abort(reason);
  expect(isStop(new Error('no answer', { cause: new Error('aborted') }), signal)).toBe(false);
  expect(isStop(undefined, signal)).toBe(false);
});

test('nothing is a stop before the signal', () => {
  expect(isStop(reason, new AbortController().signal)).toBe(false);
  expect(isStop(undefined, new AbortController().signal)).toBe(false);
});
