/**
 * A worker for tests that stop real processes: announces that it works, and ends as its argument says when stopped.
 */
import { once } from 'node:events';
import { ConfigurationError, jsonDocument } from '@edge-migration/runtime/configuration.ts';
import { z } from 'zod';
import { podSettings, workerSettings } from '../configuration.ts';
import { WorkerError } from '../failure.ts';
import { runWorkerProcess } from '../process.ts';
import { copyWorkSchema } from '../work.ts';

/** How its work reacts to the signal's reason. */
const ENDINGS: Readonly<Record<string, (reason: unknown) => void>> = {
  orderly() {},
  stop(reason) {
    throw reason;
  },
  cause(reason) {
    throw new WorkerError('transient', 'the call was aborted', { cause: reason });
  },
  fault() {
    throw new Error('the last page is lost');
  },
  transient() {
    throw new WorkerError('transient', 'the last checkpoint is not saved');
  },
  misconfigured() {
    throw new ConfigurationError('the table is another one now');
  },
};

await runWorkerProcess({
  name: 'worker',
  usage: '',
  configuration: z.object({ ...workerSettings, ...podSettings, work: jsonDocument(copyWorkSchema) }),
  async standalone([ending = ''], signal) {
    process.stdout.write('working\n');
    // Nothing else keeps the process alive.
    const alive = setInterval(() => {}, 60_000);
    await once(signal, 'abort');
    clearInterval(alive);
    ENDINGS[ending]?.(signal.reason);
  },
  pod: () => Promise.reject<never>(new Error('a worker of this test is no pod')),
});
