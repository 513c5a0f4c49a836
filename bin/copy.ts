import { workerConfiguration } from '@edge-migration/operator/copy/worker/configuration.ts';
import { COPY_USAGE, runStandaloneCopy } from '@edge-migration/operator/copy/worker/standalone.ts';
import { runWorkerProcess } from '@edge-migration/operator/job/process.ts';

/** The copy's process: a pod's worker, or with arguments a whole project without Kubernetes. */
await runWorkerProcess({
  name: 'copy',
  usage: COPY_USAGE,
  configuration: workerConfiguration,
  standalone: runStandaloneCopy,
  pod: async () => (await import('@edge-migration/operator/copy/worker/worker.ts')).runWorker,
});
