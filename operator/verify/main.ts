import { systemClock } from '@edge-migration/identity/clock.ts';
import { parseEnvironment } from '@edge-migration/identity/config/environment.ts';
import { createLogger } from '@edge-migration/identity/logger.ts';
import { printSummary, runWorkerProcess } from '../job/process.ts';
import { standaloneVerifyConfiguration, verifyConfiguration } from './worker/configuration.ts';
import { parseVerifyArguments, runStandaloneVerification, USAGE } from './worker/standalone.ts';

/** The comparison's process: a pod's worker, or with arguments a whole project without Kubernetes. */
await runWorkerProcess({
  name: 'verify',
  usage: USAGE,
  configuration: verifyConfiguration,
  async standalone(args, signal) {
    const options = parseVerifyArguments(args);
    const configuration = parseEnvironment(standaloneVerifyConfiguration, process.env);
    const summary = await runStandaloneVerification({
      arguments: options,
      configuration,
      clock: systemClock,
      logger: createLogger('verify', configuration.logLevel, process.stderr.fd),
      signal,
      onLine: (line) => process.stderr.write(`${line}\n`),
    });
    printSummary(summary, options.json);
  },
  pod: async () => (await import('./worker/worker.ts')).runVerifyWorker,
});
