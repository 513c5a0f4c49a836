import { createClient } from '@edge-migration/kubernetes/client.ts';
import { loadKubeConfig } from '@edge-migration/kubernetes/kube-config.ts';
import { createChecks, runChecks } from '@edge-migration/operator/check/checks.ts';
import { checkConfiguration } from '@edge-migration/operator/check/config.ts';
import { renderAsJson, renderAsLines } from '@edge-migration/operator/check/render.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { ConfigurationError, parseEnvironment } from '@edge-migration/runtime/configuration.ts';

/**
 * Reports in one line each whether everything in the configuration can be reached; changes nothing.
 * `helm test` runs it, and `kubectl edge-migration doctor --probe`, for which `--json` prints the outcomes as one line of JSON.
 * Exit codes: 0 all passed, 1 something is wrong, 64 wrong configuration.
 */
const render = process.argv.includes('--json') ? renderAsJson : renderAsLines;

try {
  const configuration = parseEnvironment(checkConfiguration, process.env);
  const kubeConfig = loadKubeConfig(process.env['KUBECONFIG']);
  const client = createClient({ kubeConfig, clock: systemClock, userAgent: 'edge-migration-check' });
  const checks = createChecks({ configuration, client, clock: systemClock });
  const outcomes = await runChecks(checks, configuration.timeoutSeconds * 1000);
  process.stdout.write(render(outcomes));
  process.exitCode = outcomes.some(({ verdict }) => verdict === 'failed') ? 1 : 0;
} catch (error) {
  if (!(error instanceof ConfigurationError)) throw error;
  process.stdout.write(
    render([{ name: 'Settings', verdict: 'failed', text: error.message, remedy: 'docs/configuration.md' }]),
  );
  process.exitCode = 64;
}
// Pending operations that are no longer needed must not keep the process alive.
process.exit();
