import { createClient } from '@edge-migration/kubernetes/client.ts';
import { loadKubeConfig } from '@edge-migration/kubernetes/kube-config.ts';
import type { Outcome } from '@edge-migration/operator/check/check.ts';
import { createChecks, runChecks } from '@edge-migration/operator/check/checks.ts';
import { checkConfiguration } from '@edge-migration/operator/check/config.ts';
import { MOST_CHARACTERS } from '@edge-migration/operator/installation/report.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { ConfigurationError, parseEnvironment } from '@edge-migration/runtime/configuration.ts';

/**
 * Says in one line each whether everything can be reached that the installation is configured for; changes nothing.
 * `helm test` runs it, and `kubectl edge-migration doctor --probe`, for which `--json` prints the outcomes as one line of JSON.
 * Exit codes: 0 all passed, 1 something is wrong, 64 wrong configuration.
 */
const WORDS = { ok: 'ok  ', warning: 'WARN', failed: 'FAIL' };
const print = process.argv.includes('--json') ? printJson : printLines;

try {
  const configuration = parseEnvironment(checkConfiguration, process.env);
  const kubeConfig = loadKubeConfig(process.env['KUBECONFIG']);
  const client = createClient({ kubeConfig, clock: systemClock, userAgent: 'edge-migration-check' });
  const checks = createChecks({ configuration, client, clock: systemClock });
  const outcomes = await runChecks(checks, configuration.timeoutSeconds * 1000);
  print(outcomes);
  process.exitCode = outcomes.some(({ verdict }) => verdict === 'failed') ? 1 : 0;
} catch (error) {
  if (!(error instanceof ConfigurationError)) throw error;
  print([{ name: 'Settings', verdict: 'failed', text: error.message, remedy: 'docs/configuration.md' }]);
  process.exitCode = 64;
}
// Whatever still waits for something that nobody needs any more must not keep us.
process.exit();

function printLines(outcomes: readonly Outcome[]): void {
  for (const { name, verdict, text, remedy } of outcomes) {
    process.stdout.write(`${WORDS[verdict]}  ${name.padEnd(10)}  ${text}\n`);
    if (remedy !== undefined) process.stdout.write(`                  -> ${remedy}\n`);
  }
}

function printJson(outcomes: readonly Outcome[]): void {
  const cut = (text: string) => text.slice(0, MOST_CHARACTERS);
  const bounded = outcomes.map(({ text, ...outcome }) => ({ ...outcome, text: cut(text) }));
  process.stdout.write(`${JSON.stringify({ outcomes: bounded })}\n`);
}
