import { systemClock } from '@edge-migration/identity/clock.ts';
import { ConfigurationError, parseEnvironment, redact } from '@edge-migration/identity/config/environment.ts';
import { createLogger } from '@edge-migration/identity/logger.ts';
import { loadKubeConfig } from '../kubernetes/kube-config.ts';
import { triggerConfiguration } from './config.ts';
import { runTrigger } from './process.ts';

/**
 * Takes the events by which Flagsmith's dashboard asks for migrations. Exit codes: 0 asked to stop, 1 failed, 64 wrong
 * configuration.
 */
const logger = createLogger('trigger', 'info');
const stop = new AbortController();
for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort(new Error(name)));

try {
  const configuration = parseEnvironment(triggerConfiguration, process.env);
  logger.level = configuration.logLevel;
  logger.info({ configuration: redact(triggerConfiguration, configuration) }, 'starting');
  const kubeConfig = loadKubeConfig(process.env['KUBECONFIG']);
  await runTrigger({ configuration, kubeConfig, clock: systemClock, logger, signal: stop.signal });
  logger.info('stopped');
} catch (error) {
  const isExpected = error instanceof ConfigurationError;
  logger.fatal(isExpected ? { error: error.message } : { err: error }, 'ended');
  process.exit(isExpected ? 64 : 1);
}
