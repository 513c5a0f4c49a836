import { type AddressInfo, createServer, type Socket } from 'node:net';

import { METRICS_TYPE, type Metrics } from '@edge-migration/runtime/metrics.ts';
import type { Address } from './config.ts';
import { findHeadEnd, parseRequest } from './proxy/head.ts';

export interface HealthServer {
  /** @returns the bound address; port 0 picks a free one */
  listen(address: Address): Promise<AddressInfo>;
  close(): Promise<void>;
}

/** Probes and scrapes are a few hundred bytes. */
const MAX_HEAD_BYTES = 16 * 1024;
const IDLE_MS = 10_000;
/** Beyond this the oldest is closed, so that the next probe is answered. */
export const MAX_HEALTH_CONNECTIONS = 64;
const REASONS = { 200: 'OK', 400: 'Bad Request', 404: 'Not Found', 500: 'Internal Server Error', 503: 'Unavailable' };

interface Answer {
  status: keyof typeof REASONS;
  body: string;
  type?: string;
}

/**
 * `/livez`: the process answers. `/readyz`: it accepts requests, regardless of NATS, the disk and the API itself,
 * because none of them is a reason to take the Core API out of service. `/metrics`: for Prometheus.
 *
 * One request a connection, read by the proxy's own parser: `node:http` costs 12 MB, because it brings a fetch client.
 */
export function createHealthServer(metrics: Metrics, isReady: () => boolean): HealthServer {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const [oldest] = sockets;
    if (oldest !== undefined && sockets.size >= MAX_HEALTH_CONNECTIONS) {
      sockets.delete(oldest);
      oldest.destroy();
    }
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // Always followed by 'close'.
    socket.on('error', () => {});
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    readTarget(socket, (target) => socket.end(format(target === undefined ? BAD_REQUEST : answer(target))));
  });

  function answer(target: string): Answer {
    switch (target.split('?', 1)[0]) {
      case '/livez':
        return { status: 200, body: 'ok\n' };
      case '/readyz':
        return isReady() ? { status: 200, body: 'ok\n' } : { status: 503, body: 'not ready\n' };
      case '/metrics':
        return scrape(metrics);
      default:
        return { status: 404, body: 'not found\n' };
    }
  }

  return {
    listen: ({ host, port }) =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, () => resolve(server.address() as AddressInfo));
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

const BAD_REQUEST: Answer = { status: 400, body: 'bad request\n' };

/** Calls `done` once, with the target of the first request; undefined when it is not a request. */
function readTarget(socket: Socket, done: (target: string | undefined) => void): void {
  let head = Buffer.alloc(0);
  const onData = (bytes: Buffer) => {
    head = Buffer.concat([head, bytes]);
    const target = targetIn(head);
    if (target === 'incomplete') return;
    socket.off('data', onData);
    // The rest does not matter, but unread bytes would turn the end of the connection into a reset.
    socket.resume();
    done(target?.value);
  };
  socket.on('data', onData);
}

function targetIn(head: Buffer): { value: string } | undefined | 'incomplete' {
  try {
    const end = findHeadEnd(head, 0);
    if (end >= 0) return { value: parseRequest(head.toString('latin1', 0, end)).target };
    return head.length > MAX_HEAD_BYTES ? undefined : 'incomplete';
  } catch {
    return undefined;
  }
}

function scrape(metrics: Metrics): Answer {
  try {
    return { status: 200, body: metrics.text(), type: METRICS_TYPE };
  } catch (error) {
    return { status: 500, body: `${error instanceof Error ? error.message : String(error)}\n` };
  }
}

function format({ status, body, type = 'text/plain; charset=utf-8' }: Answer): string {
  const length = Buffer.byteLength(body);
  return `HTTP/1.1 ${status} ${REASONS[status]}\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n${body}`;
}
