import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { Registry } from 'prom-client';

import type { Address } from './config.ts';

export interface HealthServer {
  /** @returns the address bound; port 0 takes a free one */
  listen(address: Address): Promise<AddressInfo>;
  close(): Promise<void>;
}

/**
 * `/livez`: the process answers. `/readyz`: it takes requests; NATS, the disk and the API itself have no say in it,
 * because none of them is a reason to take the Core API out of service. `/metrics`: for Prometheus.
 */
export function createHealthServer(registry: Registry, isReady: () => boolean): HealthServer {
  const server = createServer((request, response) => {
    const path = request.url?.split('?', 1)[0];
    if (path === '/livez') answer(response, 200, 'ok\n');
    else if (path === '/readyz') answer(response, isReady() ? 200 : 503, isReady() ? 'ok\n' : 'not ready\n');
    else if (path === '/metrics') void answerMetrics(response, registry);
    else answer(response, 404, 'not found\n');
  });
  return {
    listen: ({ host, port }) =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, () => resolve(server.address() as AddressInfo));
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(text);
}

async function answerMetrics(response: ServerResponse, registry: Registry): Promise<void> {
  try {
    const text = await registry.metrics();
    response.writeHead(200, { 'content-type': registry.contentType }).end(text);
  } catch (error) {
    answer(response, 500, `${error instanceof Error ? error.message : String(error)}\n`);
  }
}
