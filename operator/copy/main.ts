import { runWorkerProcess } from '../job/process.ts';
import { createStandalone } from '../job/standalone.ts';
import { standaloneConfiguration, workerConfiguration } from './worker/configuration.ts';
import { parseArguments, runStandalone, USAGE } from './worker/standalone.ts';

const name = 'copy';

/** The copy's process: a pod's worker, or with arguments a whole project without Kubernetes. */
await runWorkerProcess({
  name,
  usage: USAGE,
  configuration: workerConfiguration,
  standalone: createStandalone({ name, configuration: standaloneConfiguration, parseArguments, run: runStandalone }),
  pod: async () => (await import('./worker/worker.ts')).runWorker,
});
