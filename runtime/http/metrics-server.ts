import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { errorMessage } from '../error-message.ts';

/** Throws if it fails; the message says why. */
export type HealthCheck = () => void | Promise<void>;

export interface MetricsServerSettings {
  readonly registry: Registry;
  /** A failure means that the kubelet should restart the process. */
  readonly alive?: Readonly<Record<string, HealthCheck>> | undefined;
  /** A failure means that the process cannot work now. */
  readonly ready?: Readonly<Record<string, HealthCheck>> | undefined;
  /** `0.0.0.0` in a pod, so that the kubelet and Prometheus reach it. */
  readonly host?: string | undefined;
  /** 0: any free port. */
  readonly port: number;
}

export interface MetricsServer {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Serves `/metrics`, `/livez` and `/readyz`; the last two list the checks that fail with a 500, as Kubernetes' own do. */
export async function startMetricsServer(settings: MetricsServerSettings): Promise<MetricsServer> {
  const { registry, alive = {}, ready = {}, host = '127.0.0.1' } = settings;

  async function respond(request: IncomingMessage, response: ServerResponse) {
    const path = (request.url ?? '/').split('?')[0];
    if (request.method !== 'GET' && request.method !== 'HEAD') return send(response, 405, 'method not allowed\n');
    if (path === '/livez') return sendChecks(response, alive);
    if (path === '/readyz') return sendChecks(response, ready);
    if (path !== '/metrics') return send(response, 404, 'not found\n');
    send(response, 200, await registry.metrics(), registry.contentType);
  }

  const server = createServer((request, response) => {
    respond(request, response).catch((error: unknown) => send(response, 500, `${errorMessage(error)}\n`));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(settings.port, host, () => resolve());
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function sendChecks(response: ServerResponse, checks: Readonly<Record<string, HealthCheck>>) {
  const lines = await Promise.all(Object.entries(checks).map(async ([name, check]) => runCheck(name, check)));
  const failed = lines.some((line) => line.startsWith('[-]'));
  send(response, failed ? 500 : 200, failed ? `${lines.join('\n')}\n` : 'ok\n');
}

async function runCheck(name: string, check: HealthCheck): Promise<string> {
  try {
    await check();
    return `[+]${name} ok`;
  } catch (error) {
    return `[-]${name} failed: ${errorMessage(error)}`;
  }
}

function send(response: ServerResponse, status: number, text: string, contentType = 'text/plain; charset=utf-8') {
  response.writeHead(status, { 'content-type': contentType }).end(text);
}
