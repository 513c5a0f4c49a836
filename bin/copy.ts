import { standaloneConfiguration, workerConfiguration } from '@edge-migration/operator/copy/worker/configuration.ts';
import { parseArguments, runStandalone, USAGE } from '@edge-migration/operator/copy/worker/standalone.ts';
import { runWorkerProcess } from '@edge-migration/operator/job/process.ts';
import { createStandalone } from '@edge-migration/operator/job/standalone.ts';

const name = 'copy';

/** The copy's process: a pod's worker, or with arguments a whole project without Kubernetes. */
await runWorkerProcess({
  name,
  usage: USAGE,
  configuration: workerConfiguration,
  standalone: createStandalone({ name, configuration: standaloneConfiguration, parseArguments, run: runStandalone }),
  pod: async () => (await import('@edge-migration/operator/copy/worker/worker.ts')).runWorker,
});
