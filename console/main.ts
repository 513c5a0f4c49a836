import { systemClock } from '@edge-migration/identity/clock.ts';
import { ConfigurationError, parseEnvironment, redact } from '@edge-migration/identity/config/environment.ts';
import { createLogger } from '@edge-migration/identity/logger.ts';
import { loadKubeConfig } from '@edge-migration/operator/kubernetes/kube-config.ts';
import { consoleConfiguration } from './config.ts';
import { runConsole } from './process.ts';

/** Serves the console's page and API. Exit codes: 0 asked to stop, 1 failed, 64 wrong configuration. */
const logger = createLogger('console', 'info');
const stop = new AbortController();
for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort(new Error(name)));

try {
  const configuration = parseEnvironment(consoleConfiguration, process.env);
  logger.level = configuration.logLevel;
  logger.info({ configuration: redact(consoleConfiguration, configuration) }, 'starting');
  const kubeConfig = loadKubeConfig(process.env['KUBECONFIG']);
  await runConsole({ configuration, kubeConfig, clock: systemClock, logger, signal: stop.signal });
  logger.info('stopped');
} catch (error) {
  const isExpected = error instanceof ConfigurationError;
  logger.fatal(isExpected ? { error: error.message } : { err: error }, 'ended');
  process.exit(isExpected ? 64 : 1);
}
