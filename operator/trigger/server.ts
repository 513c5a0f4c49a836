import type { IncomingMessage, ServerResponse } from 'node:http';
import { readBody } from '@edge-migration/runtime/http/body.ts';
import type { Certificate } from '@edge-migration/runtime/http/certificate.ts';
import { type HttpServer, startHttpServer } from '@edge-migration/runtime/http/server.ts';
import type { SignedHead } from './signature.ts';

/** A JSON response. */
export interface JsonResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: object;
}

/** One POST. The body is read on demand, so that one of an unauthenticated client need not be. */
interface Request {
  readonly head: SignedHead;
  /** @throws BodyRefusedError */
  body(): Promise<Uint8Array>;
}

export type RequestHandler = (request: Request) => Promise<JsonResponse>;

export interface ServerSettings {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Plain HTTP without it. */
  readonly certificate?: Certificate | undefined;
  /** By path. */
  readonly handlers: Readonly<Record<string, RequestHandler>>;
  /** The response to an error. */
  readonly explain: (error: unknown) => JsonResponse;
}

/** The button is rarely pressed. */
const MOST_CONNECTIONS = 64;
const REQUEST_MS = 10_000;
/** Entries of a megabyte, and the overhead of JSON. */
const LARGEST_BODY_BYTES = 2 * 1024 * 1024;

/** Serves POST on a few paths, with limits on everything that a client can do. */
export async function startEventServer(settings: ServerSettings): Promise<HttpServer> {
  const { host, certificate, handlers, explain } = settings;

  async function answer(request: IncomingMessage): Promise<JsonResponse> {
    const [path = ''] = (request.url ?? '').split('?');
    const handler = Object.hasOwn(handlers, path) ? handlers[path] : undefined;
    // A query would have to be signed, and no request has one.
    if (handler === undefined || path !== request.url) return { status: 404, body: { message: 'not found' } };
    if (request.method !== 'POST') {
      return { status: 405, headers: { allow: 'POST' }, body: { message: 'only POST is served' } };
    }
    const headers = request.headersDistinct as SignedHead['headers'];
    return handler({ head: { method: request.method, headers }, body: () => readBody(request, LARGEST_BODY_BYTES) });
  }

  function onRequest(request: IncomingMessage, response: ServerResponse) {
    answer(request)
      .catch(explain)
      .then((result) => send(request, response, result));
  }

  return startHttpServer({
    host,
    port: settings.port,
    certificate,
    mostConnections: MOST_CONNECTIONS,
    requestMs: REQUEST_MS,
    onRequest,
  });
}

/**
 * An unread body is discarded as it arrives, and the connection stays open until then: many clients read no response
 * before they have sent everything, and a reset would discard the response. `requestTimeout` ends slow requests.
 */
function send(request: IncomingMessage, response: ServerResponse, { status, headers, body }: JsonResponse) {
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
