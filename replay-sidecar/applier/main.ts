import process from 'node:process';
import { systemClock } from '@edge-migration/identity/clock.ts';
import { ConfigurationError, parseEnvironment, redact } from '@edge-migration/identity/config/environment.ts';
import { createLogger } from '@edge-migration/identity/logger.ts';
import { loadKubeConfig } from '@edge-migration/operator/kubernetes/kube-config.ts';
import { runApplier } from './applier.ts';
import { applierConfiguration } from './config.ts';

/** The edge applier's process. Exit codes: 0 asked to stop, 1 failed, 64 wrong configuration. */
const log = createLogger('edge-applier', 'info');
const stop = new AbortController();
for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort(new Error(name)));

try {
  const configuration = parseEnvironment(applierConfiguration, process.env);
  log.level = configuration.logLevel;
  log.info({ configuration: redact(applierConfiguration, configuration) }, 'starting');
  const kubeConfig = loadKubeConfig(process.env['KUBECONFIG']);
  await runApplier({ configuration, kubeConfig, clock: systemClock, log, signal: stop.signal });
  log.info('stopped');
} catch (error) {
  if (!stop.signal.aborted) {
    log.fatal(error instanceof ConfigurationError ? { error: error.message } : { err: error }, 'ended');
    process.exit(error instanceof ConfigurationError ? 64 : 1);
  }
}
