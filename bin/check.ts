import process from 'node:process';
import { createClient } from '@edge-migration/kubernetes/client.ts';
import { loadKubeConfig } from '@edge-migration/kubernetes/kube-config.ts';
import { createChecks, runChecks } from '@edge-migration/operator/check/checks.ts';
import { checkConfiguration } from '@edge-migration/operator/check/config.ts';
import { renderAsJson, renderAsLines } from '@edge-migration/operator/check/render.ts';
import { runToolProcess } from '@edge-migration/runtime/process.ts';

/**
 * Reports in one line each whether everything in the configuration can be reached; changes nothing.
 * `helm test` runs it, and `kubectl edge-migration doctor --probe`, for which `--json` prints the outcomes as one line of JSON.
 * Exit codes: 0 all passed, 1 something is wrong, 64 wrong configuration.
 */
const render = process.argv.includes('--json') ? renderAsJson : renderAsLines;

await runToolProcess({
  configuration: checkConfiguration,
  async run({ configuration, clock }) {
    const kubeConfig = loadKubeConfig(process.env['KUBECONFIG']);
    const client = createClient({ kubeConfig, clock, userAgent: 'edge-migration-check' });
    const checks = createChecks({ configuration, client, clock });
    const outcomes = await runChecks(checks, configuration.timeoutSeconds * 1000);
    process.stdout.write(render(outcomes));
    return outcomes.some(({ verdict }) => verdict === 'failed') ? 1 : 0;
  },
  onMisconfigured: (text) =>
    void process.stdout.write(render([{ name: 'Settings', verdict: 'failed', text, remedy: 'docs/configuration.md' }])),
});
