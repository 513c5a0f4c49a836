import { runWorkerProcess } from '@edge-migration/operator/job/process.ts';
import { verifyConfiguration } from '@edge-migration/operator/verify/worker/configuration.ts';
import { runStandaloneVerification, VERIFY_USAGE } from '@edge-migration/operator/verify/worker/standalone.ts';

/** The comparison's process: a pod's worker, or with arguments a whole project without Kubernetes. */
await runWorkerProcess({
  name: 'verify',
  usage: VERIFY_USAGE,
  configuration: verifyConfiguration,
  standalone: runStandaloneVerification,
  pod: async () => (await import('@edge-migration/operator/verify/worker/worker.ts')).runVerifyWorker,
});
