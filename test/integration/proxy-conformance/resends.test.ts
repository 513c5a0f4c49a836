import { systemClock } from '@edge-migration/runtime/clock.ts';
import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { describe, expect, test } from 'vitest';
import { createRecordingHook } from './support/proxy-under-test.ts';
import { connectRaw } from './support/raw-client.ts';
import type { SeenRequest } from './support/raw-upstream.ts';
import { answer, ask, get, post, respond, startBoth } from './support/setup.ts';

/** A hook that delays each POST until its intent is released. */
function holdIntents() {
  const intents: (() => void)[] = [];
  const intent = () => new Promise<void>((resolve) => intents.push(resolve));
  const hook = createRecordingHook(
    () => ({ intent }),
    ({ method }) => method === 'POST',
  );
  return { intents, hook };
}

describe('a repeatable request', () => {
  test.each([
    ['closed', (request: SeenRequest) => request.connection.socket.end()],
    ['reset', (request: SeenRequest) => request.connection.socket.resetAndDestroy()],
  ])('is retried when its connection had been used before and is %s instead of an answer', async (_how, fail) => {
    await using both = await startBoth({ onRequest: respond });
    await ask(both.proxy.port, get('/first'));
    both.api.behaviour = {
      onRequest(request) {
        if (request.connection === both.api.connections[0]) fail(request);
        else respond(request);
      },
    };
    expect(await ask(both.proxy.port, get('/second'))).toBe(answer('ok'));
    expect(both.api.requests.map(({ message }) => message.firstLine)).toEqual([
      'GET /first HTTP/1.1',
      'GET /second HTTP/1.1',
      'GET /second HTTP/1.1',
    ]);
    expect(await both.proxy.metric('resends_total', { reason: 'stale' })).toBe(1);
  });

  test('is not retried when its connection was new: the client sees what the API did', async () => {
    await using both = await startBoth({ onRequest: ({ connection }) => connection.socket.end() });
    expect(await ask(both.proxy.port, get('/a'))).toBe('');
    expect(both.api.requests).toHaveLength(1);
  });

  test('is not retried once a byte of an answer has arrived', async () => {
    await using both = await startBoth({ onRequest: respond });
    await ask(both.proxy.port, get('/first'));
    both.api.behaviour = { onRequest: ({ connection }) => connection.socket.end('HTTP/1.1 20') };
    expect(await ask(both.proxy.port, get('/second'))).toBe('HTTP/1.1 20');
    expect(both.api.requests).toHaveLength(2);
  });
});

describe('a non-repeatable request', () => {
  const requests = [
    ['POST without a body', 'POST /a HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['POST with a body', post('/a', 'hello')],
    ['PUT', post('/a', 'hello').replace('POST', 'PUT')],
    ['DELETE', get('/a').replace('GET', 'DELETE')],
    ['GET with a body', post('/a', 'hello').replace('POST', 'GET')],
    ['an unknown method', get('/a').replace('GET', 'FROBNICATE')],
  ] as const;

  test.each(requests)('reaches the API only once: %s', async (_name, request) => {
    await using both = await startBoth({ onRequest: respond });
    await ask(both.proxy.port, get('/first'));
    both.api.clear();
    both.api.behaviour = { onRequest: ({ connection }) => connection.socket.resetAndDestroy() };
    using client = await connectRaw(both.proxy.port);
    client.send(request);
    expect(await client.all()).toBe('');
    expect(client.broken, 'the client sees the reset').toBe(true);
    expect(both.api.requests).toHaveLength(1);
  });

  test.each(requests)('reaches the API only once over the same client’s connection: %s', async (_name, request) => {
    await using both = await startBoth({ onRequest: respond });
    using client = await connectRaw(both.proxy.port);
    client.send(get('/first'));
    await client.until((received) => received.endsWith('ok'));
    both.api.clear();
    both.api.behaviour = { onRequest: ({ connection }) => connection.socket.resetAndDestroy() };
    client.send(request);
    expect(await client.all()).toBe(answer('ok'));
    expect(client.broken, 'the client sees the reset').toBe(true);
    expect(both.api.requests).toHaveLength(1);
  });

  test('goes over a new connection when the API closes the old one before anything was sent', async () => {
    const { intents, hook } = holdIntents();
    await using both = await startBoth({ onRequest: respond }, { hook, limits: { intentMs: 60_000 } });
    using client = await connectRaw(both.proxy.port);
    client.send(get('/first'));
    await client.until((received) => received.endsWith('ok'));
    client.send(post('/a', 'hello'));
    await waitFor(() => intents.length === 1 || undefined, { for: 'the intent' });
    both.api.connections[0]?.socket.destroy();
    await waitFor(() => both.api.connections.length === 2 || undefined, { for: 'a new connection' });
    intents[0]?.();
    await client.until((received) => received === answer('ok') + answer('ok'));
    expect(both.api.requests.map(({ message }) => message.firstLine)).toEqual([
      'GET /first HTTP/1.1',
      'POST /a HTTP/1.1',
    ]);
  });

  test('goes over a new connection when the old one expired while the intent was written', async () => {
    const { intents, hook } = holdIntents();
    const limits = { intentMs: 60_000, idleUpstreamMs: 600_000 };
    let ahead = 0;
    const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + ahead };
    await using both = await startBoth({ onRequest: respond }, { hook, limits, clock });
    using client = await connectRaw(both.proxy.port);
    client.send(get('/first'));
    await client.until((received) => received.endsWith('ok'));
    client.send(post('/a', 'hello'));
    await waitFor(() => intents.length === 1 || undefined, { for: 'the intent' });
    ahead = limits.idleUpstreamMs;
    intents[0]?.();
    await client.until((received) => received === answer('ok') + answer('ok'));
    expect(both.api.connections).toHaveLength(2);
    expect(both.api.requests).toHaveLength(2);
  });
});
