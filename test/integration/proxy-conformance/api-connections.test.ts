import { systemClock } from '@edge-migration/runtime/clock.ts';
import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { describe, expect, test } from 'vitest';
import { createRecordingHook } from './support/proxy-under-test.ts';
import { connectRaw } from './support/raw-client.ts';
import type { SeenRequest } from './support/raw-upstream.ts';
import { answer, ask, get, post, respond, startBoth } from './support/setup.ts';

describe("the proxy's connections to the API", () => {
  test('are reused for repeatable requests of any client', async () => {
    await using both = await startBoth({ onRequest: respond });
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      await ask(both.proxy.port, get('/a', 'Connection: close').replace('GET', method));
      await waitFor(() => both.proxy.proxy.connections.upstreamIdle === 1 || undefined, { for: 'the connection back' });
    }
    expect(both.api.requests).toHaveLength(3);
    expect(both.api.connections).toHaveLength(1);
  });

  test('are reused for non-repeatable requests when the same client used them last', async () => {
    await using both = await startBoth({ onRequest: respond });
    using client = await connectRaw(both.proxy.port);
    for (const [index, method] of ['POST', 'PUT', 'GET', 'PATCH', 'DELETE', 'POST'].entries()) {
      client.send(post(`/${index}`, 'x').replace('POST', method));
      await client.until((received) => received.split(answer('ok')).length === index + 2);
    }
    expect(both.api.requests).toHaveLength(6);
    expect(both.api.connections).toHaveLength(1);
  });

  test('are left to the client that used them last, as long as there are others', async () => {
    await using both = await startBoth({ onRequest: respond });
    using one = await connectRaw(both.proxy.port);
    using other = await connectRaw(both.proxy.port);
    for (const client of [one, other]) {
      client.send(post('/first', 'x'));
      await client.until((received) => received.endsWith('ok'));
    }
    one.send(get('/second'));
    await one.until((received) => received.split('ok').length > 2);
    other.send(post('/second', 'x'));
    await other.until((received) => received.split('ok').length > 2);
    expect(both.api.connections).toHaveLength(2);
  });

  test('are new for non-repeatable requests, and serve others afterwards', async () => {
    await using both = await startBoth({ onRequest: respond });
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
      await ask(both.proxy.port, post('/a', 'x').replace('POST', method));
    expect(both.api.connections).toHaveLength(4);
    await ask(both.proxy.port, get('/a'));
    expect(both.api.connections).toHaveLength(4);
  });

  test('are closed when idle for too long, and only a limited number of them stay idle', async () => {
    await using both = await startBoth({}, { limits: { idleUpstreamMs: 50, idleUpstreamConnections: 3 } });
    const clients = await Promise.all(Array.from({ length: 5 }, () => connectRaw(both.proxy.port)));
    for (const client of clients) client.send(get('/a'));
    await waitFor(() => both.api.requests.length === 5 || undefined, { for: 'five requests' });
    for (const request of both.api.requests) respond(request);
    for (const client of clients) await client.until((received) => received.endsWith('ok'));
    expect(both.proxy.proxy.connections.upstreamIdle).toBeLessThanOrEqual(3);
    await Promise.all(both.api.connections.map(({ closed }) => closed));
    const { connections } = both.proxy.proxy;
    await waitFor(() => connections.upstreamIdle + connections.upstreamBusy === 0 || undefined, {
      for: 'no connection',
    });
    for (const client of clients) client.socket.destroy();
  });

  test.each([
    ['that says so', answer('ok', 200, 'Connection: close')],
    ['of HTTP/1.0', answer('ok').replace('HTTP/1.1', 'HTTP/1.0')],
    ['with more bytes behind it', `${answer('')}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`],
  ])('are not reused after a response %s', async (_name, response) => {
    await using both = await startBoth(
      { onRequest: ({ connection }) => connection.socket.write(response) },
      { limits: { idleUpstreamMs: 60_000 } },
    );
    await ask(both.proxy.port, get('/a', 'Connection: close'));
    await both.api.connections[0]?.closed;
    await ask(both.proxy.port, get('/b', 'Connection: close'));
    expect(both.api.connections).toHaveLength(2);
  });

  test('are closed when the API sends something unasked', async () => {
    await using both = await startBoth({ onRequest: respond });
    await ask(both.proxy.port, get('/a'));
    both.api.connections[0]?.socket.write(answer('for nobody'));
    await both.api.connections[0]?.closed;
    expect(await ask(both.proxy.port, get('/b'))).toBe(answer('ok'));
  });
});

describe('an API that cannot be reached', () => {
  test('is retried briefly, because nothing was sent', async () => {
    await using both = await startBoth({ onRequest: respond }, { limits: { refusedMs: 20_000 } });
    await both.api.unlisten();
    const asked = ask(both.proxy.port, post('/a', 'hello'));
    await waitFor(async () => (await both.proxy.metric('resends_total', { reason: 'refused' })) > 1 || undefined, {
      for: 'a second attempt',
    });
    await both.api.listen();
    expect(await asked).toBe(answer('ok'));
    expect(both.api.requests).toHaveLength(1);
  });

  test('causes a 502, and the capture knows that nothing was sent', async () => {
    const hook = createRecordingHook();
    await using both = await startBoth({}, { hook, limits: { refusedMs: 0 } });
    await both.api.unlisten();
    expect(await ask(both.proxy.port, post('/a', 'hello'))).toMatch(/^HTTP\/1\.1 502 /);
    expect(await hook.calls[0]?.finished).toEqual({ kind: 'notSent' });
    expect(await both.proxy.metric('requests_total', { outcome: 'badGateway' })).toBe(1);
    await both.api.listen();
  });
});

test.each([
  ['no status line', 'nonsense\r\n\r\n'],
  ['a bare line feed', 'HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok'],
  ['a length and a coding', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!'],
  ['an upgrade that was not requested', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'],
])('an API answer that is not HTTP causes a 502: %s', async (_name, response) => {
  await using both = await startBoth({ onRequest: ({ connection }) => connection.socket.write(response) });
  expect(await ask(both.proxy.port, get('/a'))).toMatch(/^HTTP\/1\.1 502 /);
  await both.api.connections[0]?.closed;
});

test.each([
  ['closed', 'in its length', answer('x'.repeat(10)).slice(0, -5)],
  ['closed', 'in a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe'],
  ['reset', 'in its length', answer('x'.repeat(10)).slice(0, -5)],
  ['reset', 'in a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe'],
])('an answer that is %s %s reaches the client as far as it arrived', async (how, _where, response) => {
  await using both = await startBoth({ onRequest: ({ connection }) => connection.socket.write(response) });
  using client = await connectRaw(both.proxy.port);
  client.send(get('/a'));
  await client.until((received) => received === response);
  const socket = both.api.connections[0]?.socket;
  if (how === 'closed') socket?.end();
  else socket?.resetAndDestroy();
  await client.all();
  expect(client.broken).toBe(how === 'reset');
});

/**
 * gunicorn closes connections that were idle for its keep-alive, and a restarting worker closes all of its idle
 * ones; the listening socket belongs to its parent and stays open. A client that opens a connection for each
 * request never notices.
 */
test('a client does not notice when the API closes idle connections and restarts its workers', async () => {
  const idle = new Set<SeenRequest['connection']>();
  await using both = await startBoth(
    {
      onHead: (_head, connection) => void idle.delete(connection),
      onRequest({ connection }) {
        connection.socket.write(answer('ok'));
        idle.add(connection);
        // The keep-alive, no longer than the time for which the proxy itself keeps connections.
        void systemClock.sleep(25).then(() => idle.delete(connection) && connection.socket.destroy());
      },
    },
    { limits: { idleUpstreamMs: 1_000 } },
  );
  let running = true;
  const restarts = (async () => {
    for (; running; await systemClock.sleep(7)) {
      for (const { socket } of idle) socket.destroy();
      idle.clear();
    }
  })();
  const client = async (seed: number) => {
    for (let n = 0; n < 60; n += 1) {
      const request = (n + seed) % 3 === 0 ? post(`/${seed}/${n}`, 'hello') : get(`/${seed}/${n}`);
      expect(await ask(both.proxy.port, request), request).toBe(answer('ok'));
      if (n % 10 === seed % 10) await systemClock.sleep(24 + (n % 3));
    }
  };
  await Promise.all(Array.from({ length: 12 }, (_, seed) => client(seed)));
  running = false;
  await restarts;
  const posts = both.api.requests.filter(({ message }) => message.firstLine.startsWith('POST'));
  expect(posts).toHaveLength(12 * 20);
  expect(await both.proxy.metric('resends_total', { reason: 'stale' })).toBeGreaterThan(0);
});
