import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import type { Nats } from '../../cluster/nats.ts';
import { freePort } from '../../cluster/ports.ts';
import { probeHttp, probeTcp } from '../../cluster/probe.ts';
import { createFolder, removeFolder } from '../../cluster/reaper.ts';
import { type Service, startService } from '../../cluster/service.ts';
import { waitFor } from '../../cluster/wait.ts';
import { ROOT } from '../../deployed.ts';
import type { Load, Seen } from './load.ts';

/** A target in front of the API, or the API itself. */
export interface Target extends AsyncDisposable {
  readonly port: number;
  readonly service: Service;
}

export interface SidecarTarget extends Target {
  /** Waits until every event is in the stream, so that the cost of publishing is included. */
  drained(): Promise<void>;
}

const path = (file: string) => fileURLToPath(new URL(file, import.meta.url));

export function startNullApi(): Promise<Target> {
  return startScript('null-api', []);
}

/** Node's own cost of forwarding a request. */
export function startBareProxy(upstreamPort: number): Promise<Target> {
  return startScript('bare-proxy', [String(upstreamPort)]);
}

/** A script of this folder that listens on the port given as its first argument. */
async function startScript(name: string, more: readonly string[]): Promise<Target> {
  const port = await freePort();
  const folder = createFolder(`bench-${name}`);
  const service = await startService({
    name,
    command: process.execPath,
    args: [path(`./${name}.ts`), String(port), ...more],
    folder,
    ready: () => probeTcp('127.0.0.1', port),
    cleanUp: () => removeFolder(folder),
  });
  return { port, service, [Symbol.asyncDispose]: () => service.stop() };
}

/**
 * The sidecar as deployed, flags included. In the image its files are precompiled; here a first start
 * fills the cache that the measured one reads.
 */
export async function startSidecar(
  upstreamPort: number,
  nats: Nats,
  { flags = [], environment = {} }: { flags?: readonly string[]; environment?: Record<string, string> } = {},
): Promise<SidecarTarget> {
  const [port, healthPort] = [await freePort(), await freePort()];
  const folder = createFolder('bench-sidecar');
  const start = () =>
    startService({
      name: 'sidecar',
      command: process.execPath,
      args: [...flags, ...deployedContainer().args],
      cwd: ROOT,
      folder,
      env: {
        PATH: process.env['PATH'],
        ...deployedAllocator(),
        NODE_COMPILE_CACHE: join(folder, 'compiled'),
        EDGE_MIGRATION_LISTEN_ADDRESS: `127.0.0.1:${port}`,
        EDGE_MIGRATION_UPSTREAM_ADDRESS: `127.0.0.1:${upstreamPort}`,
        EDGE_MIGRATION_HEALTH_ADDRESS: `127.0.0.1:${healthPort}`,
        EDGE_MIGRATION_NATS_SERVERS: nats.url,
        EDGE_MIGRATION_SPOOL_DIRECTORY: join(folder, 'spool'),
        EDGE_MIGRATION_POD_NAME: 'bench',
        EDGE_MIGRATION_POD_UID: 'bench',
        EDGE_MIGRATION_LOG_LEVEL: 'warn',
        ...environment,
      },
      ready: async () => (await probeHttp(`http://127.0.0.1:${healthPort}/readyz`)).status === 200,
      cleanUp: async () => {},
    });
  await (await start()).stop();
  const service = await start();
  const unsent = async () => {
    const { body } = await probeHttp(`http://127.0.0.1:${healthPort}/metrics`);
    if (!body.includes('edge_migration_sidecar_spool_events'))
      throw new Error('The sidecar does not say how many events it has');
    // Not known before the spool is read.
    return Number(/^edge_migration_sidecar_spool_events (\S+)$/m.exec(body)?.[1]);
  };
  return {
    port,
    service,
    async drained() {
      await waitFor(async () => (await unsent()) === 0, { for: 'the spool to be published', intervalMs: 50 });
    },
    async [Symbol.asyncDispose]() {
      await service.stop();
      await removeFolder(folder);
    },
  };
}

function deployedContainer(): { args: string[]; env: { name: string; value: string }[] } {
  const manifest = parse(readFileSync(join(ROOT, 'replay-sidecar/deploy/sidecar.yaml'), 'utf8'));
  return manifest.initContainers[0];
}

/** Settings of the C library's allocator. */
function deployedAllocator(): Record<string, string> {
  const settings = deployedContainer().env.filter(({ name }) => name.startsWith('MALLOC_'));
  return Object.fromEntries(settings.map(({ name, value }) => [name, value]));
}

/** nginx as a proxy that keeps its connections, on one worker; undefined when it is not installed. */
export async function startNginx(upstreamPort: number): Promise<Target | undefined> {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin'];
  const command = folders.map((folder) => join(folder, 'nginx')).find(existsSync);
  if (command === undefined) return undefined;
  const port = await freePort();
  const folder = createFolder('bench-nginx');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${join(folder, kind)};`,
  );
  const configuration = `
    daemon off; master_process off; pid ${join(folder, 'nginx.pid')}; error_log ${join(folder, 'error.log')};
    events { worker_connections 1024; }
    http {
      access_log off; keepalive_requests 1000000; ${temporary.join(' ')}
      upstream api { server 127.0.0.1:${upstreamPort}; keepalive 64; keepalive_requests 1000000; }
      server {
        listen 127.0.0.1:${port};
        location / { proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; }
      }
    }`;
  writeFileSync(join(folder, 'nginx.conf'), configuration);
  const service = await startService({
    name: 'nginx',
    command,
    args: ['-p', folder, '-c', join(folder, 'nginx.conf')],
    folder,
    ready: () => probeTcp('127.0.0.1', port),
    cleanUp: () => removeFolder(folder),
  });
  return { port, service, [Symbol.asyncDispose]: () => service.stop() };
}

/** Runs the load in its own process. */
export async function load(spec: Load): Promise<Seen> {
  return JSON.parse(await outputOf('load', [JSON.stringify(spec)]));
}

/** Microseconds of CPU time that the client library needs per event, in its own process. */
export async function publishMicros(nats: Nats, count: number): Promise<number> {
  return Number(await outputOf('bare-publisher', [nats.url, String(count)]));
}

async function outputOf(script: string, args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [path(`./${script}.ts`), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const output = Buffer.concat(await Array.fromAsync(child.stdout)).toString();
  if ((await ended) !== 0) throw new Error(`${script} ended early`);
  return output;
}
