import { runWorkerProcess } from '@edge-migration/operator/job/process.ts';
import { createStandalone } from '@edge-migration/operator/job/standalone.ts';
import {
  standaloneVerifyConfiguration,
  verifyConfiguration,
} from '@edge-migration/operator/verify/worker/configuration.ts';
import {
  parseVerifyArguments,
  runStandaloneVerification,
  USAGE,
} from '@edge-migration/operator/verify/worker/standalone.ts';

const name = 'verify';

/** The comparison's process: a pod's worker, or with arguments a whole project without Kubernetes. */
await runWorkerProcess({
  name,
  usage: USAGE,
  configuration: verifyConfiguration,
  standalone: createStandalone({
    name,
    configuration: standaloneVerifyConfiguration,
    parseArguments: parseVerifyArguments,
    run: runStandaloneVerification,
  }),
  pod: async () => (await import('@edge-migration/operator/verify/worker/worker.ts')).runVerifyWorker,
});
