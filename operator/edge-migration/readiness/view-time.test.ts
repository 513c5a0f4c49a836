import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { openCore } from '@edge-migration/identity/core/core.ts';
import { createServingTables } from '@edge-migration/identity/edge/serving-tables.ts';
import { connectToEdge } from '@edge-migration/identity/edge/table/connection.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { createFakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { afterAll, expect, test } from 'vitest';
import { createReadinessView } from './view.ts';

const AGAIN = 60_000;
const core = openCore({ databaseUrl: 'postgres://nobody@127.0.0.1:1/none' }, { maxConnections: 1 });
const connection = connectToEdge({ dynamodbEndpoint: 'http://127.0.0.1:1', dynamodbRegion: 'eu-west-2' }, {});

afterAll(async () => {
  connection.close();
  await core.close();
});

test('the time of the next check is never in the past, however the clock is set between checks', async () => {
  const clock = createFakeClock();
  const view = createReadinessView({
    core,
    tables: createServingTables(connection, {}),
    clock,
    againMs: AGAIN,
  });
  const check = async () => {
    const fact = await view.read(42, new AbortController().signal);
    return fact.kind === 'unread' ? undefined : fact.nextTime - clock.now();
  };
  expect(await check()).toBe(AGAIN);
  await clock.advance(20_000);
  clock.skew(5 * AGAIN);
  expect(await check()).toBe(AGAIN - 20_000);
  clock.skew(-10 * AGAIN);
  expect(await check()).toBe(AGAIN - 20_000);
});

test('the check of a project is forgotten with its EdgeMigration', async () => {
  const clock = createFakeClock();
  const view = createReadinessView({
    ...{ core, clock, againMs: AGAIN },
    tables: createServingTables(connection, {}),
  });
  for (let projectId = 1; projectId <= 100; projectId++) {
    view.expire(projectId, 'copied');
    await view.read(projectId, new AbortController().signal);
    view.forget(projectId);
  }
  expect(view.size).toBe(0);
});

test('only every tenth check asks a silent store, so that decisions about other projects go on', async () => {
  await using silent = await startSilentServer();
  const slow = openCore({ databaseUrl: `postgres://nobody@127.0.0.1:${silent.port}/none` }, CONNECTING);
  let ahead = 0;
  const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + ahead };
  const view = createReadinessView({
    core: slow,
    tables: createServingTables(connection, {}),
    clock,
    againMs: AGAIN,
  });
  const check = async (projectId: number) => (await view.read(projectId, new AbortController().signal)).kind;
  expect(await check(1)).toBe('problem');
  const asked = silent.connections();
  expect(await check(2)).toBe('problem');
  expect(silent.connections()).toBe(asked);
  ahead = 20 * CONNECTING.connectTimeoutMs;
  expect(await check(3)).toBe('problem');
  expect(silent.connections()).toBeGreaterThan(asked);
  await slow.close();
});

const CONNECTING = { maxConnections: 1, connectTimeoutMs: 200 };

/** Accepts connections and never answers. */
async function startSilentServer() {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => sockets.length,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
