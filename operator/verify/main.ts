import { runWorkerProcess } from '../job/process.ts';
import { createStandalone } from '../job/standalone.ts';
import { standaloneVerifyConfiguration, verifyConfiguration } from './worker/configuration.ts';
import { parseVerifyArguments, runStandaloneVerification, USAGE } from './worker/standalone.ts';

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
  pod: async () => (await import('./worker/worker.ts')).runVerifyWorker,
});
