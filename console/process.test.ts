import { KubeConfig } from '@edge-migration/kubernetes/client-node.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { expect, test } from 'vitest';
import { consoleConfiguration } from './config.ts';
import { runConsole } from './process.ts';

/** Address of a cluster that does not answer. */
function createKubeConfig(): KubeConfig {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromClusterAndUser(
    { name: 'none', server: 'http://127.0.0.1:1', skipTLSVerify: false },
    { name: 'a' },
  );
  return kubeConfig;
}

test('a console that cannot listen exits and says why, instead of waiting for a signal', async () => {
  const configuration = consoleConfiguration.parse({
    namespace: 'flagsmith',
    // Reserved for documentation (RFC 5737): no machine has it.
    listenHost: '192.0.2.1',
    metricsHost: '127.0.0.1',
    metricsPort: 0,
  });
  const stop = new AbortController();
  const settings = { configuration, kubeConfig: createKubeConfig(), clock: systemClock, signal: stop.signal };
  try {
    await expect(runConsole({ ...settings, logger: createLogger('test', 'silent') })).rejects.toThrow('EADDRNOTAVAIL');
  } finally {
    stop.abort(new Error('the test is over'));
  }
});
