import { systemClock } from '@edge-migration/identity/clock.ts';
import { ConfigurationError, parseEnvironment, redact } from '@edge-migration/identity/config/environment.ts';
import { createLogger } from '@edge-migration/identity/logger.ts';
import { operatorConfiguration } from './config.ts';
import { LeadershipLostError } from './kubernetes/errors.ts';
import { loadKubeConfig } from './kubernetes/kube-config.ts';
import { runOperator } from './process.ts';

/** The operator's process. Exit codes: 0 asked to stop, 1 failed or lost the Lease, 64 wrong configuration. */
const logger = createLogger('operator', 'info');
const stop = new AbortController();
for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort(new Error(name)));

try {
  const configuration = parseEnvironment(operatorConfiguration, process.env);
  logger.level = configuration.logLevel;
  logger.info({ configuration: redact(operatorConfiguration, configuration) }, 'starting');
  const kubeConfig = loadKubeConfig(process.env['KUBECONFIG']);
  await runOperator({ configuration, kubeConfig, clock: systemClock, logger, signal: stop.signal });
  logger.info('stopped');
} catch (error) {
  const isExpected = error instanceof ConfigurationError || error instanceof LeadershipLostError;
  logger.fatal(isExpected ? { error: error.message } : { err: error }, 'ended');
  // A process that lost its Lease must not do another thing; nothing is left to wait for.
  process.exit(error instanceof ConfigurationError ? 64 : 1);
}
