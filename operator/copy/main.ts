import { systemClock } from '@edge-migration/identity/clock.ts';
import { parseEnvironment } from '@edge-migration/identity/config/environment.ts';
import { createLogger } from '@edge-migration/identity/logger.ts';
import { printSummary, runWorkerProcess } from '../job/process.ts';
import { standaloneConfiguration, workerConfiguration } from './worker/configuration.ts';
import { parseArguments, runStandalone, USAGE } from './worker/standalone.ts';

/** The copy's process: a pod's worker, or with arguments a whole project without Kubernetes. */
await runWorkerProcess({
  name: 'copy',
  usage: USAGE,
  configuration: workerConfiguration,
  async standalone(args, signal) {
    const options = parseArguments(args);
    const configuration = parseEnvironment(standaloneConfiguration, process.env);
    const summary = await runStandalone({
      arguments: options,
      configuration,
      clock: systemClock,
      logger: createLogger('copy', configuration.logLevel, process.stderr.fd),
      signal,
      onLine: (line) => process.stderr.write(`${line}\n`),
    });
    printSummary(summary, options.json);
  },
  pod: async () => (await import('./worker/worker.ts')).runWorker,
});
