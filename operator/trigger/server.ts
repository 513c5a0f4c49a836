import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { readBody } from './body.ts';
import type { RequestHead } from './signature.ts';

/** An answer in JSON. */
export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: object;
}

/** One POST. The body is read when it is asked for, so that a stranger's need not be. */
export interface Request {
  readonly head: RequestHead;
  /** @throws BodyRefused */
  body(): Promise<Uint8Array>;
}

export type Handler = (request: Request) => Promise<Answer>;

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface ServerSettings {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Plain HTTP without it. */
  readonly certificate?: Certificate | undefined;
  /** By path. */
  readonly handlers: Readonly<Record<string, Handler>>;
  /** What an error is answered by. */
  readonly explain: (error: unknown) => Answer;
}

export interface EventServer {
  readonly port: number;
  readonly url: string;
  /** For connections from now on. */
  useCertificate(certificate: Certificate): void;
  /** Takes no more connections, and ends when what is under way has its answer, five seconds later at most. */
  close(): Promise<void>;
}

/**
 * Bounds to what an unauthenticated client can occupy: connections, memory of each, time. They are small, because the
 * button is pressed seldom.
 */
const MOST_CONNECTIONS = 64;
const LIMITS = {
  maxHeaderSize: 16 * 1024,
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  connectionsCheckingInterval: 1_000,
  keepAliveTimeout: 5_000,
};

const GRACE_MILLISECONDS = 5_000;

/** Serves POST on a few paths, with bounds to all that a client can do. */
export async function startEventServer(settings: ServerSettings): Promise<EventServer> {
  const { host, certificate, handlers, explain } = settings;

  async function answer(request: IncomingMessage): Promise<Answer> {
    const [path = ''] = (request.url ?? '').split('?');
    const handler = Object.hasOwn(handlers, path) ? handlers[path] : undefined;
    // A query would have to be signed, and nothing has one.
    if (handler === undefined || path !== request.url) return { status: 404, body: { message: 'not found' } };
    if (request.method !== 'POST') {
      return { status: 405, headers: { allow: 'POST' }, body: { message: 'only POST is served' } };
    }
    const headers = request.headersDistinct as RequestHead['headers'];
    return handler({ head: { method: request.method, headers }, body: () => readBody(request) });
  }

  function onRequest(request: IncomingMessage, response: ServerResponse) {
    answer(request)
      .catch(explain)
      .then((result) => send(request, response, result));
  }

  const server =
    certificate === undefined
      ? createHttpServer(LIMITS, onRequest)
      : createHttpsServer({ ...LIMITS, ...certificate, minVersion: 'TLSv1.2', handshakeTimeout: 5_000 }, onRequest);
  server.maxConnections = MOST_CONNECTIONS;
  await listen(server, settings.port, host);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `${certificate === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`,
    useCertificate: (next) => (server as HttpsServer).setSecureContext({ ...next, minVersion: 'TLSv1.2' }),
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      const late = setTimeout(() => server.closeAllConnections(), GRACE_MILLISECONDS);
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

/**
 * A body that was not read is thrown away as it comes, and the connection stays until then: many clients read no answer before
 * they have sent everything, and a reset would take the answer from them. `requestTimeout` ends what takes too long.
 */
function send(request: IncomingMessage, response: ServerResponse, { status, headers, body }: Answer) {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...headers,
  });
  if (request.complete) return response.end(text);
  response.write(text);
  request.once('end', () => response.end());
  request.resume();
}
