import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import type { Clock } from '@edge-migration/identity/clock.ts';
import { systemClock } from '@edge-migration/identity/clock.ts';
import type { Logger } from '@edge-migration/identity/logger.ts';
import { Crashed, FAULT_HEADER, type Faults, parseFaults } from './faults.ts';
import { form, type Input, parseBody } from './rest/body.ts';
import type { Reply } from './rest/errors.ts';
import { createRouter } from './router.ts';
import { connectStore, type Session } from './store/session.ts';

export interface ApiOptions {
  readonly databaseUrl: string;
  readonly host?: string;
  /** 0 picks a free one. */
  readonly port?: number;
  /** Requests that a worker handles at a time. */
  readonly threads?: number;
  /** How long an idle connection stays open; 0 closes after each answer, as gunicorn's sync workers do. */
  readonly keepAliveSeconds?: number;
  readonly environmentCacheSeconds?: number;
  readonly adminToken?: string;
  readonly viewerToken?: string;
  /** Faults of every request, and whether a request may ask for its own; see faults.ts. */
  readonly fault?: string;
  readonly acceptFaults?: boolean;
  /** How long after the answer a background task runs. */
  readonly taskDelaySeconds?: number;
  readonly clock?: Clock;
  readonly log?: Logger;
  /** Kills the worker; without it all of its connections are reset. */
  readonly crash?: () => void;
}

export interface Api extends AsyncDisposable {
  /** Without a slash at its end. */
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

const VERSION = 'fixture';

/**
 * One worker of a Core API for tests and the demo: the identity routes of Flagsmith 2.265.0 against the real schema,
 * with its parsing rules, its statuses and its commits. It evaluates no flags: `flags` is always empty.
 */
export async function startApi(options: ApiOptions): Promise<Api> {
  const { keepAliveSeconds = 2, clock = systemClock, taskDelaySeconds = 0 } = options;
  const threads = options.threads ?? 2;
  const store = connectStore(options.databaseUrl, threads + 1);
  const stopping = new AbortController();
  const tasks = new Set<Promise<void>>();
  const slots = createSlots(threads);
  const handling = new Set<Promise<void>>();
  const route = createRouter({
    environmentCacheSeconds: options.environmentCacheSeconds ?? 0,
    adminToken: options.adminToken ?? 'admin-token',
    viewerToken: options.viewerToken ?? 'viewer-token',
    now: clock.now,
    onError: (error) => options.log?.warn({ error: (error as Error).message }, 'view failed'),
  });

  function later(task: (session: Session) => Promise<void>): void {
    const run = clock
      .sleep(taskDelaySeconds * 1000, stopping.signal)
      .then(() => task(store.session(async () => {})))
      .catch((error: unknown) => {
        if (!stopping.signal.aborted) options.log?.warn({ error: (error as Error).message }, 'task failed');
      })
      .finally(() => tasks.delete(run));
    tasks.add(run);
  }

  function crash(): never {
    if (options.crash === undefined) server.closeAllConnections();
    else options.crash();
    throw new Crashed('The worker died');
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const faults = faultsOf(request);
    if (faults['stop-reading'] !== undefined) return void (await once(response, 'close'));
    await pause(faults, 'before');
    if (faults['crash-before'] !== undefined) crash();
    const reply = await route(toIncoming(request, faults));
    await pause(faults, 'after');
    if (faults['crash-after'] !== undefined) crash();
    if (faults['reset-after'] !== undefined) return void request.socket.resetAndDestroy();
    send(response, reply, keepAliveSeconds > 0);
  }

  function faultsOf(request: IncomingMessage): Faults {
    const own = options.acceptFaults ? request.headers[FAULT_HEADER] : undefined;
    return parseFaults(own === undefined ? (options.fault ?? '') : String(own));
  }

  async function pause(faults: Faults, when: 'before' | 'after'): Promise<void> {
    const milliseconds = faults[`delay-${when}`];
    if (milliseconds !== undefined) await clock.sleep(milliseconds, stopping.signal);
    const lock = faults[`lock-${when}`];
    if (lock !== undefined) await store.waitForLock(lock);
  }

  function toIncoming(request: IncomingMessage, faults: Faults) {
    const [rawPath = '', ...rest] = (request.url ?? '').split('?');
    const search = rest.join('?');
    let commits = 0;
    let data: Promise<Input> | undefined;
    return {
      method: request.method ?? 'GET',
      pathname: decodePath(rawPath),
      search: search === '' ? '' : `?${search}`,
      query: form(search),
      header: (name: string) => request.headers[name]?.toString(),
      data: () => (data ??= readBody(request)),
      session: store.session(async () => {
        commits++;
        if (faults['crash-after-write'] === commits) crash();
      }),
      later,
    };
  }

  const server = createServer({
    keepAliveTimeout: keepAliveSeconds * 1000,
    keepAliveTimeoutBuffer: 0,
    requestTimeout: 0,
  });
  server.on('request', (request, response) => {
    const handled = slots(() => handle(request, response))
      .catch((error: unknown) => {
        if (!(error instanceof Crashed)) options.log?.warn({ error: (error as Error).message }, 'request failed');
        request.socket.destroy();
      })
      .finally(() => handling.delete(handled));
    handling.add(handled);
  });
  server.listen(options.port ?? 0, options.host ?? '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  async function close(): Promise<void> {
    stopping.abort();
    server.close();
    server.closeAllConnections();
    await Promise.all([...tasks, ...handling]);
    await store.close();
  }

  return { url: `http://${options.host ?? '127.0.0.1'}:${port}`, port, close, [Symbol.asyncDispose]: close };
}

function send(response: ServerResponse, { status, headers, body }: Reply, keepAlive: boolean): void {
  response.writeHead(status, {
    Server: 'gunicorn',
    // Named here, so that Node adds no Keep-Alive header, which gunicorn does not have.
    Connection: keepAlive ? 'keep-alive' : 'close',
    'Flagsmith-Version': VERSION,
    'X-Frame-Options': 'DENY',
    'X-Content-Type-Options': 'nosniff',
    ...headers,
    ...(status === 204 ? {} : { 'Content-Length': Buffer.byteLength(body) }),
  });
  response.end(status === 204 ? undefined : body);
}

async function readBody(request: IncomingMessage): Promise<Input> {
  return parseBody(await buffer(request), request.headers['content-type'] ?? '');
}

/** Percent-decoded; what is not UTF-8 stays as it is, as in Django. */
function decodePath(path: string): string {
  return path.replace(/(%[0-9a-f]{2})+/gi, (run) => {
    try {
      return decodeURIComponent(run);
    } catch {
      return run;
    }
  });
}

/** At most `count` at a time, in order of arrival. */
function createSlots(count: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let free = count;
  return async (work) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    }
  };
}
