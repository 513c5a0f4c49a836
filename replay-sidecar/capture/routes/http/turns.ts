import { setImmediate } from 'node:timers/promises';

let last: Promise<unknown> = Promise.resolve();

/**
 * Resolves when it is the caller's turn to work for about a millisecond. The event loop runs once between two turns,
 * however many callers there are.
 */
export function takeTurn(): Promise<unknown> {
  last = last.then(() => setImmediate());
  return last;
}
