import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { CrashedError, type Faults, faultsOf } from './faults.ts';
import { readRequest, sendReply } from './http.ts';
import type { User } from './rest/access.ts';
import { createRouter } from './router.ts';
import { connectStore } from './store/session.ts';
import { createSlots, createTasks } from './work.ts';

export interface ApiOptions {
  readonly databaseUrl: string;
  readonly host?: string;
  /** 0 picks a free one. */
  readonly port?: number;
  /** Number of requests that a worker handles at a time. */
  readonly threads?: number;
  /** How long an idle connection stays open; 0 closes after each answer, as gunicorn's sync workers do. */
  readonly keepAliveSeconds?: number;
  /** How long the settings of an environment are cached. */
  readonly environmentCacheSeconds?: number;
  readonly adminToken?: string;
  readonly viewerToken?: string;
  /** By token, instead of an admin and a viewer of everything. */
  readonly users?: ReadonlyMap<string, User>;
  /** Faults of every request, and whether a request may ask for its own; see faults.ts. */
  readonly fault?: string;
  readonly acceptFaults?: boolean;
  /** Delay of a background task after the answer. */
  readonly taskDelaySeconds?: number;
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** Kills the worker; without it all of its connections are reset. */
  readonly crash?: () => void;
}

export interface Api extends AsyncDisposable {
  /** Without a trailing slash. */
  readonly url: string;
  readonly port: number;
  /** Cuts every connection. */
  close(): Promise<void>;
  /** Finishes requests under way, and then closes. */
  drain(): Promise<void>;
}

/**
 * One worker of a Core API for tests and the demo: the identity routes of Flagsmith 2.265.0 against the real schema,
 * with its parsing rules, its statuses and its commits. It evaluates no flags: `flags` is always empty.
 */
export async function startApi(options: ApiOptions): Promise<Api> {
  const { host = '127.0.0.1', keepAliveSeconds = 2 } = options;
  const worker = createWorker(options, () => server.closeAllConnections());
  const server = createServer({
    keepAliveTimeout: keepAliveSeconds * 1000,
    keepAliveTimeoutBuffer: 0,
    requestTimeout: 0,
  });
  server.on('request', worker.handle);
  server.listen(options.port ?? 0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  let closed: Promise<void> | undefined;
  function close(): Promise<void> {
    server.close();
    server.closeAllConnections();
    closed ??= worker.close();
    return closed;
  }

  async function drain(): Promise<void> {
    server.close();
    await worker.idle();
    await close();
  }

  return { url: `http://${host}:${port}`, port, close, drain, [Symbol.asyncDispose]: close };
}

function usersOf({ adminToken = 'admin-token', viewerToken = 'viewer-token' }: ApiOptions): Map<string, User> {
  return new Map([
    [viewerToken, { role: 'viewer' }],
    [adminToken, { role: 'admin' }],
  ]);
}

function createWorker(options: ApiOptions, resetConnections: () => void) {
  const { clock = systemClock, threads = 2, keepAliveSeconds = 2, logger } = options;
  const store = connectStore(options.databaseUrl, threads + 1);
  const stopping = new AbortController();
  const slots = createSlots(threads);
  const tasks = createTasks({ clock, delaySeconds: options.taskDelaySeconds ?? 0, signal: stopping.signal, logger });
  const handling = new Set<Promise<void>>();
  const route = createRouter({
    environmentCacheSeconds: options.environmentCacheSeconds ?? 0,
    users: options.users ?? usersOf(options),
    now: clock.now,
    onError: (error) => logger?.warn({ error: (error as Error).message }, 'view failed'),
  });

  function crash(): never {
    (options.crash ?? resetConnections)();
    throw new CrashedError('The worker died');
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const faults = faultsOf(options, request.headers);
    if (faults['stop-reading'] !== undefined) return void (await once(response, 'close'));
    await pause(faults, 'before');
    if (faults['crash-before'] !== undefined) crash();
    const session = store.session(countCommits(faults));
    const later = (task: Parameters<typeof tasks.add>[0]) =>
      tasks.add(
        task,
        store.session(async () => {}),
      );
    const reply = await route({ ...readRequest(request), session, later });
    await pause(faults, 'after');
    if (faults['crash-after'] !== undefined) crash();
    if (faults['reset-after'] !== undefined) return void request.socket.resetAndDestroy();
    sendReply(response, reply, keepAliveSeconds > 0);
  }

  async function pause(faults: Faults, when: 'before' | 'after'): Promise<void> {
    const milliseconds = faults[`delay-${when}`];
    if (milliseconds !== undefined) await clock.sleep(milliseconds, stopping.signal);
    const lock = faults[`lock-${when}`];
    if (lock !== undefined) await store.waitForLock(lock);
  }

  function countCommits(faults: Faults): () => Promise<void> {
    let commits = 0;
    return async () => {
      commits++;
      if (faults['crash-after-write'] === commits) crash();
    };
  }

  return {
    handle(request: IncomingMessage, response: ServerResponse): void {
      const handled = slots(() => answer(request, response))
        .catch((error: unknown) => {
          if (!(error instanceof CrashedError)) logger?.warn({ error: (error as Error).message }, 'request failed');
          request.socket.destroy();
        })
        .finally(() => handling.delete(handled));
      handling.add(handled);
    },
    async idle(): Promise<void> {
      await Promise.all(handling);
    },
    async close(): Promise<void> {
      stopping.abort();
      await Promise.all([tasks.settled(), ...handling]);
      await store.close();
    },
  };
}
