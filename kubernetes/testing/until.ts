import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits for a condition: turn by turn of the event loop, and when that takes long, with some milliseconds between. The
 * test's own time limit ends a wait in vain.
 */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; !(await condition()); turn++) {
    if (turn < 500) await new Promise((resolve) => setImmediate(resolve));
    else await sleep(5);
  }
}
