import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binary } from './binaries.ts';
import { freePort } from './ports.ts';
import { probeHttp } from './probe.ts';
import { createFolder, removeFolder } from './reaper.ts';
import { type Service, startService } from './service.ts';

export interface NatsOptions {
  /** More lines of nats-server configuration (authorization, tls, …). */
  config?: string;
  signal?: AbortSignal;
}

export interface Nats extends Service {
  readonly url: string;
  readonly port: number;
  /** nats-server's HTTP monitoring (`/jsz`, `/connz`, …). */
  readonly monitorUrl: string;
}

/** Starts a nats-server of its own with JetStream on file storage. */
export async function startNats(options: NatsOptions = {}): Promise<Nats> {
  const { signal } = options;
  const command = await binary('nats-server', signal);
  const folder = createFolder('nats');
  const [port, monitorPort] = [await freePort(), await freePort()];
  const configFile = join(folder, 'nats.conf');
  const lines = [
    'server_name: embedded',
    `listen: "127.0.0.1:${port}"`,
    `http: "127.0.0.1:${monitorPort}"`,
    `jetstream { store_dir: ${JSON.stringify(join(folder, 'jetstream'))}, max_file_store: 8G }`,
    options.config ?? '',
  ];
  writeFileSync(configFile, lines.join('\n'));
  const monitorUrl = `http://127.0.0.1:${monitorPort}`;
  const service = await startService({
    name: 'nats-server',
    command,
    args: ['-c', configFile],
    folder,
    ready: async () => (await probeHttp(`${monitorUrl}/healthz?js-enabled-only=true`)).status === 200,
    cleanUp: () => removeFolder(folder),
    signal,
  });
  return Object.assign(service, { url: `nats://127.0.0.1:${port}`, port, monitorUrl });
}
