import { setImmediate } from 'node:timers/promises';

let last: Promise<unknown> = Promise.resolve();

/**
 * Resolves when it is the caller's turn to work for about a millisecond. Between two turns the event loop goes round
 * once, however many callers there are.
 */
export function takeTurn(): Promise<unknown> {
  last = last.then(() => setImmediate());
  return last;
}
