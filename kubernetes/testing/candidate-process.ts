/**
 * A replica for tests that freeze and kill real processes: stands for election and, while it leads, writes ConfigMaps
 * named `<epoch>-<n>` as fast as it can. Prints each step on a line. Arguments: kubeconfig, namespace, identity, and
 * optionally the write before which it freezes.
 */
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { createClient } from '../client.ts';
import { LeadershipLostError } from '../errors.ts';
import { loadKubeConfig } from '../kube-config.ts';
import { LeaderElection, type Leadership } from '../leader-election.ts';
import { configMaps } from './real-api-server.ts';

const [kubeconfig, namespace = '', identity = '', freezeBefore = '-1'] = process.argv.slice(2);
const client = createClient({ kubeConfig: loadKubeConfig(kubeconfig), clock: systemClock, userAgent: identity });
const say = (line: string) => process.stdout.write(`${line}\n`);
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort(new Error('SIGTERM')));

const election = new LeaderElection({
  ...{
    client,
    clock: systemClock,
    logger: createLogger('candidate', 'silent'),
    identity,
    namespace,
    name: 'candidates',
  },
  // Longer than a busy machine stands still.
  leaseDurationMs: 20_000,
  renewDeadlineMs: 15_000,
  retryPeriodMs: 300,
});

async function write({ epoch, fence, signal }: Leadership) {
  const fenced = fence(client);
  say(`leading ${epoch}`);
  // It deliberately does not check the signal before it writes: the fence must be enough.
  for (let n = 0; ; n++) {
    const metadata = { namespace, name: `${epoch}-${n}` };
    // When it resumes no timer has run yet: only the fence is between here and the API server.
    if (n === Number(freezeBefore)) process.kill(process.pid, 'SIGSTOP');
    await fenced.create(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata });
    if (signal.aborted) return;
  }
}

let writing: Promise<void> = Promise.resolve();
try {
  await election.run(stop.signal, (leadership) => {
    writing = write(leadership);
    return writing;
  });
  say('stopped');
} catch (error) {
  say(error instanceof LeadershipLostError ? 'leadership lost' : `failed: ${errorMessage(error)}`);
} finally {
  // A write that passed the fence must be seen by the test, not cut off here.
  await writing.catch((error: unknown) => say(`write refused: ${error instanceof LeadershipLostError}`));
  await client.close();
}
