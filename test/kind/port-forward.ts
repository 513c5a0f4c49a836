import { systemClock } from '@edge-migration/runtime/clock.ts';
import { freePort } from '../cluster/ports.ts';
import { probeTcp } from '../cluster/probe.ts';
import { type ManagedProcess, startProcess, waitUntilReady } from '../cluster/processes.ts';
import { createFolder, removeFolder } from '../cluster/reaper.ts';

export interface PortForward extends AsyncDisposable {
  readonly port: number;
}

export interface PortForwardOptions {
  readonly kubectl: string;
  readonly kubeconfig: string;
  readonly namespace: string;
  /** `service/postgres`, `pod/…` */
  readonly target: string;
  readonly port: number;
}

const PAUSE_MS = 500;

/**
 * A port of this machine that leads into the cluster, for any cluster that kubectl reaches. kubectl exits when the
 * pod or the API server goes away; then it is restarted on the same port.
 */
export async function startPortForward(options: PortForwardOptions): Promise<PortForward> {
  const { kubectl, kubeconfig, namespace, target, port: inside } = options;
  const folder = createFolder('port-forward');
  const port = await freePort();
  const stopping = new AbortController();
  const args = ['--kubeconfig', kubeconfig, 'port-forward', '-n', namespace, target, `${port}:${inside}`];
  const start = () => startProcess({ name: 'port-forward', command: kubectl, args, folder });
  let current: ManagedProcess = await start();

  async function keepUp(): Promise<void> {
    while (!stopping.signal.aborted) {
      await current.exited;
      await systemClock.sleep(PAUSE_MS, stopping.signal).catch(() => undefined);
      if (!stopping.signal.aborted) current = await start();
    }
  }

  async function stop(): Promise<void> {
    stopping.abort();
    await current.stop();
    await supervision;
    await removeFolder(folder);
  }

  const supervision = keepUp();
  try {
    // A probe through kubectl's tunnel also shows that a server listens behind it.
    await waitUntilReady({ ...current, exit: undefined }, () => probeTcp('127.0.0.1', port), { timeoutMs: 120_000 });
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, [Symbol.asyncDispose]: stop };
}
