import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Certificate } from './certificate.ts';

export interface HttpServerSettings {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Plain HTTP without it. */
  readonly certificate?: Certificate | undefined;
  readonly mostConnections: number;
  /** How long receiving a request may take, without a body and with one, in milliseconds. */
  readonly requestMs: number;
  /** How long a connection may be idle in both directions, in milliseconds; two minutes when unset. */
  readonly idleMs?: number;
  readonly onRequest: (request: IncomingMessage, response: ServerResponse) => void;
}

export interface HttpServer {
  readonly port: number;
  readonly url: string;
  /** For new connections. */
  useCertificate(certificate: Certificate): void;
  /**
   * Accepts no more connections, and closes when all running requests have been answered, after five seconds at most.
   */
  close(): Promise<void>;
}

/** Limits on the resources of an unauthenticated client: memory of a head, time of each part. */
const LIMITS = {
  maxHeaderSize: 16 * 1024,
  headersTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
  keepAliveTimeout: 5_000,
} satisfies ServerOptions;

const GRACE_MS = 5_000;
/** Longer than the work on any answer, and than the silence of any stream. */
const IDLE_MS = 120_000;

/** An HTTP or HTTPS server that slow and greedy clients cannot exhaust. */
export async function startHttpServer(settings: HttpServerSettings): Promise<HttpServer> {
  const { host, certificate, onRequest } = settings;
  const limits = { ...LIMITS, requestTimeout: settings.requestMs };
  const server =
    certificate === undefined
      ? createHttpServer(limits, onRequest)
      : createHttpsServer({ ...limits, ...certificate, minVersion: 'TLSv1.2', handshakeTimeout: 5_000 }, onRequest);
  server.maxConnections = settings.mostConnections;
  // A client that does not read its answer would otherwise occupy the connection and the answer forever.
  server.timeout = settings.idleMs ?? IDLE_MS;
  await listen(server, settings.port, host);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `${certificate === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`,
    useCertificate: (next) => (server as HttpsServer).setSecureContext({ ...next, minVersion: 'TLSv1.2' }),
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      const late = setTimeout(() => server.closeAllConnections(), GRACE_MS);
      await closed;
      clearTimeout(late);
    },
  };
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve());
  });
}
