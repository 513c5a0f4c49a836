import { readFileSync } from 'node:fs';
import { Agent, type Dispatcher, request } from 'undici';
import { parse } from 'yaml';
import { z } from 'zod';

/** The API server refused a request, or (status 0) did not answer. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
    this.reason = reason;
  }
}

interface WatchEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  object: unknown;
}

type PatchType = 'merge' | 'strategic-merge' | 'apply';

/** A connection to one API server; raw JSON in and out, so that nothing is lost in models. */
export interface ApiClient extends AsyncDisposable {
  readonly server: string;
  readonly certificateAuthority: string;
  get(path: string, signal?: AbortSignal): Promise<unknown>;
  create(path: string, body: object, signal?: AbortSignal): Promise<unknown>;
  patch(path: string, type: PatchType, body: object, signal?: AbortSignal): Promise<unknown>;
  delete(path: string, body?: object, signal?: AbortSignal): Promise<unknown>;
  /** The events of a watch, until the server ends it. */
  watch(path: string, signal: AbortSignal): AsyncIterable<WatchEvent>;
  close(): Promise<void>;
}

const Kubeconfig = z.object({
  clusters: z.tuple([
    z.object({ cluster: z.object({ server: z.string(), 'certificate-authority-data': z.string() }) }),
  ]),
  users: z.tuple([z.object({ user: z.object({ token: z.string() }) })]),
});

const Status = z.object({ reason: z.string().default('Unknown'), message: z.string().default('') });

/** Longer than any request takes, except a watch. */
const TIMEOUT_MS = 15_000;

/** A client with the credentials of a kubeconfig from `writeKubeconfig`. */
export function connectApi(kubeconfig: string): ApiClient {
  const config = Kubeconfig.parse(parse(readFileSync(kubeconfig, 'utf8')));
  const { server, 'certificate-authority-data': ca } = config.clusters[0].cluster;
  const certificateAuthority = Buffer.from(ca, 'base64').toString('utf8');
  const authorization = `Bearer ${config.users[0].user.token}`;
  const dispatcher = new Agent({
    connect: { ca: certificateAuthority },
    // Destroying an HTTP/2 client makes its open streams emit errors that nobody can listen for.
    allowH2: false,
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: 0,
    keepAliveTimeout: 30_000,
  });

  async function open(path: string, options: RequestOptions, signal?: AbortSignal): Promise<Dispatcher.ResponseData> {
    const { method = 'GET', contentType = 'application/json', body } = options;
    const headers = { authorization, accept: 'application/json', 'content-type': contentType };
    const response = await request(server + path, {
      method,
      dispatcher,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    }).catch((cause: Error) => {
      signal?.throwIfAborted();
      throw new ApiError(0, 'Unreachable', `${method} ${path}: ${cause.message}`, { cause });
    });
    if (response.statusCode < 400) return response;
    const text = await response.body.text();
    const { reason, message } = parseStatus(text);
    throw new ApiError(response.statusCode, reason, `${method} ${path}: ${response.statusCode} ${message}`);
  }

  async function call(path: string, options: RequestOptions, signal?: AbortSignal): Promise<unknown> {
    const { body } = await open(path, options, signal);
    return await body.json();
  }

  return {
    server,
    certificateAuthority,
    get: (path, signal) => call(path, {}, signal),
    create: (path, body, signal) => call(path, { method: 'POST', body }, signal),
    patch: (path, type, body, signal) =>
      call(path, { method: 'PATCH', contentType: `application/${type}-patch+json`, body }, signal),
    delete: (path, body, signal) => call(path, { method: 'DELETE', ...(body === undefined ? {} : { body }) }, signal),
    async *watch(path, signal) {
      const { body } = await open(path, {}, signal);
      let rest = '';
      for await (const chunk of body.setEncoding('utf8')) {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) yield JSON.parse(line) as WatchEvent;
      }
    },
    close: () => dispatcher.destroy(),
    [Symbol.asyncDispose]: () => dispatcher.destroy(),
  };
}

interface RequestOptions {
  method?: Dispatcher.HttpMethod;
  contentType?: string;
  body?: object;
}

function parseStatus(text: string): { reason: string; message: string } {
  try {
    return Status.parse(JSON.parse(text));
  } catch {
    return { reason: 'Unknown', message: text.slice(0, 300) };
  }
}
