import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binary } from './binaries.ts';
import { createContainer } from './container.ts';
import { freePort } from './ports.ts';
import { probeHttp } from './probe.ts';
import { startProcess } from './processes.ts';
import { serviceProvider } from './provider.ts';
import { createFolder, removeFolder } from './reaper.ts';
import { type Service, type ServiceSpec, superviseService } from './service.ts';

export interface NatsOptions {
  /**
   * Additional nats-server configuration (authorization, tls, …). It may name files of this machine, so such a
   * server is always a local process.
   */
  config?: string;
  /** False: accept requests with fields unknown to the API, like servers before 2.12. */
  strict?: boolean;
  signal?: AbortSignal;
}

export interface Nats extends Service {
  readonly url: string;
  readonly port: number;
  /** nats-server's HTTP monitoring (`/jsz`, `/connz`, …). */
  readonly monitorUrl: string;
  /** The folder of a local process's streams. */
  readonly storeDirectory?: string;
}

/** Starts a separate nats-server with JetStream on file storage. */
export async function startNats(options: NatsOptions = {}): Promise<Nats> {
  const { config, signal } = options;
  const ports = { port: await freePort(), monitorPort: await freePort() };
  const contained = serviceProvider() === 'containers' && config === undefined;
  const run = contained ? inContainer(ports) : await asProcess(ports, options);
  const monitorUrl = `http://127.0.0.1:${ports.monitorPort}`;
  const service = await superviseService({
    ...run,
    ready: async () => (await probeHttp(`${monitorUrl}/healthz?js-enabled-only=true`)).status === 200,
    signal,
  });
  const { storeDirectory } = run;
  const address = { url: `nats://127.0.0.1:${ports.port}`, port: ports.port, monitorUrl };
  return Object.assign(service, { ...address, ...(storeDirectory !== undefined && { storeDirectory }) });
}

interface Run extends Pick<ServiceSpec, 'name' | 'launch' | 'cleanUp'> {
  storeDirectory?: string;
}

interface Ports {
  port: number;
  monitorPort: number;
}

const NAME = 'nats-server';

async function asProcess(
  { port, monitorPort }: Ports,
  { config = '', strict = true, signal }: NatsOptions,
): Promise<Run> {
  const command = await binary('nats-server', signal);
  const folder = createFolder('nats');
  const configFile = join(folder, 'nats.conf');
  const storeDirectory = join(folder, 'jetstream');
  const lines = [
    'server_name: embedded',
    `listen: "127.0.0.1:${port}"`,
    `http: "127.0.0.1:${monitorPort}"`,
    `jetstream { store_dir: ${JSON.stringify(storeDirectory)}, max_file_store: 8G, strict: ${strict} }`,
    config,
  ];
  writeFileSync(configFile, lines.join('\n'));
  return {
    name: NAME,
    storeDirectory,
    launch: () => startProcess({ name: NAME, command, args: ['-c', configFile], folder }),
    cleanUp: () => removeFolder(folder),
  };
}

function inContainer({ port, monitorPort }: Ports): Run {
  // The address advertised to clients must be the published one.
  const args = ['--jetstream', '--store_dir', '/data', '--port', '4222', '--http_port', '8222'];
  const advertise = ['--client_advertise', `127.0.0.1:${port}`];
  const ports = { 8222: monitorPort };
  const spec = { service: 'nats', args: [...args, ...advertise], port: 4222, hostPort: port, ports } as const;
  const { launch, remove } = createContainer(spec);
  return { name: NAME, launch, cleanUp: remove };
}
