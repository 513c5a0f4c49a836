import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits for a condition: one turn of the event loop at a time, and if that takes long, with some milliseconds between.
 * A wait in vain is ended by the test's own time limit.
 */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; !(await condition()); turn++) {
    if (turn < 500) await new Promise((resolve) => setImmediate(resolve));
    else await sleep(5);
  }
}
