import type { CoverageReport } from '@edge-migration/contract/reports/coverage.ts';
import { readReports } from '@edge-migration/operator/coverage/read.ts';
import { administrate } from '@edge-migration/replay-sidecar/capture/publisher/testing.ts';
import { COMPILED_CODE } from '../../cluster/cache.ts';
import { freePort } from '../../cluster/ports.ts';
import { probeHttp } from '../../cluster/probe.ts';
import { type Exit, type ManagedProcess, startProcess, waitUntilReady } from '../../cluster/processes.ts';
import { createFolder, removeFolder } from '../../cluster/reaper.ts';

const MAIN = new URL('../../../bin/sidecar.ts', import.meta.url).pathname;

export interface SidecarProcess extends AsyncDisposable {
  readonly port: number;
  readonly spoolDirectory: string;
  readonly process: ManagedProcess;
  /** Kills it and restarts it on the same spool and port. */
  restart(): Promise<void>;
  /** Sends SIGTERM and returns the result. */
  stop(): Promise<Exit>;
  /** Status of `/readyz` or `/livez`. */
  health(path: string): Promise<number>;
  /** Value of a metric without labels. */
  metric(name: string): Promise<number>;
}

export interface SidecarSettings {
  natsUrl: string;
  upstreamPort: number;
  /** Additional variables, without the prefix. */
  settings?: Readonly<Record<string, string>>;
  /** Additional variables, unchanged. */
  env?: Readonly<Record<string, string>>;
  /** Maximum number of open descriptors. */
  descriptors?: number;
}

/** Starts the sidecar as its container would. */
export async function startSidecar(given: SidecarSettings): Promise<SidecarProcess> {
  const { natsUrl, upstreamPort, settings = {}, env: more = {}, descriptors } = given;
  const folder = createFolder('sidecar');
  const [port, healthPort] = [await freePort(), await freePort()];
  const variables: Record<string, string> = {
    LISTEN_ADDRESS: `127.0.0.1:${port}`,
    UPSTREAM_ADDRESS: `127.0.0.1:${upstreamPort}`,
    HEALTH_ADDRESS: `127.0.0.1:${healthPort}`,
    NATS_SERVERS: natsUrl,
    SPOOL_DIRECTORY: `${folder}/spool`,
    HEARTBEAT_SECONDS: '0.3',
    POD_NAME: 'api-1',
    POD_UID: 'uid-1',
    POD_NAMESPACE: 'flagsmith',
    ...settings,
  };
  const named = Object.entries(variables).map(([name, value]) => [`EDGE_MIGRATION_${name}`, value]);
  const env = { ...COMPILED_CODE, ...Object.fromEntries(named), ...more };
  const health = async (path: string) => (await probeHttp(`http://127.0.0.1:${healthPort}${path}`)).status;

  async function start(): Promise<ManagedProcess> {
    const limited = ['-c', `ulimit -n ${descriptors} && exec "$0" "$@"`, process.execPath, MAIN];
    const [command, args] = descriptors === undefined ? [process.execPath, [MAIN]] : ['sh', limited];
    const started = await startProcess({ name: 'sidecar', command, args, env, folder });
    await waitUntilReady(started, async () => (await health('/readyz')) === 200);
    return started;
  }

  let current = await start();
  return {
    port,
    spoolDirectory: variables['SPOOL_DIRECTORY']!,
    get process() {
      return current;
    },
    async restart() {
      current.signal('SIGKILL');
      await current.exited;
      current = await start();
    },
    stop: () => current.stop(400_000),
    health,
    async metric(name) {
      const { body } = await probeHttp(`http://127.0.0.1:${healthPort}/metrics`);
      return Number(new RegExp(`^${name} (.*)$`, 'm').exec(body)?.[1]);
    },
    async [Symbol.asyncDispose]() {
      await current.stop(0);
      await removeFolder(folder);
    },
  };
}

/** The sidecar's last coverage report; undefined before the first. */
export function lastReport(natsUrl: string): Promise<CoverageReport | undefined> {
  return administrate(natsUrl, async (manager) => {
    const { reports } = await readReports(manager);
    return reports.findLast(({ report }) => report.podUid === 'uid-1')?.report;
  });
}
