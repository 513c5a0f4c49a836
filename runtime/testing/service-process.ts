/**
 * A service for tests that stop real processes: announces that it runs, and ends as its argument says when stopped.
 */
import { once } from 'node:events';
import { z } from 'zod';
import { logSettings } from '../configuration.ts';
import { runServiceProcess } from '../process.ts';

/** How its `run` reacts to the signal's reason. */
const ENDINGS: Readonly<Record<string, (reason: unknown) => void>> = {
  orderly() {},
  stop(reason) {
    throw reason;
  },
  cause(reason) {
    throw new Error('the call was aborted', { cause: reason });
  },
  fault() {
    throw new Error('the last report is lost');
  },
  expected() {
    throw new RangeError('not in time');
  },
};

await runServiceProcess({
  name: 'service',
  configuration: z.object(logSettings),
  isExpected: (error) => error instanceof RangeError,
  async run({ logger, signal }) {
    logger.info('running');
    // Nothing else keeps the process alive.
    const alive = setInterval(() => {}, 60_000);
    await once(signal, 'abort');
    clearInterval(alive);
    ENDINGS[process.argv[2] ?? '']?.(signal.reason);
  },
});
