import { systemClock } from '@edge-migration/identity/clock.ts';
import { ConfigurationError, parseEnvironment } from '@edge-migration/identity/config/environment.ts';
import { createClient } from '../kubernetes/client.ts';
import { loadKubeConfig } from '../kubernetes/kube-config.ts';
import { createChecks, runChecks } from './checks.ts';
import { checkConfiguration } from './config.ts';

/**
 * Says in one line each whether everything can be reached that the installation is configured for; changes nothing.
 * `helm test` runs it. Exit codes: 0 all passed, 1 something is wrong, 64 wrong configuration.
 */
try {
  const configuration = parseEnvironment(checkConfiguration, process.env);
  const kubeConfig = loadKubeConfig(process.env['KUBECONFIG']);
  const client = createClient({ kubeConfig, clock: systemClock, userAgent: 'edge-migration-check' });
  const checks = createChecks({ configuration, client, clock: systemClock });
  const outcomes = await runChecks(checks, configuration.timeoutSeconds * 1000);
  for (const { name, passed, text } of outcomes) {
    process.stdout.write(`${passed ? 'ok  ' : 'FAIL'}  ${name.padEnd(10)}  ${text}\n`);
  }
  process.exitCode = outcomes.every(({ passed }) => passed) ? 0 : 1;
} catch (error) {
  if (!(error instanceof ConfigurationError)) throw error;
  process.stdout.write(`FAIL  ${error.message}\n`);
  process.exitCode = 64;
}
// Whatever still waits for something that nobody needs any more must not keep us.
process.exit();
