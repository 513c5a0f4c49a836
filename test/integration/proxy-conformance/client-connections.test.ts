import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { describe, expect, test } from 'vitest';
import { createRecordingHook } from './support/proxy-under-test.ts';
import { connectRaw } from './support/raw-client.ts';
import type { SeenRequest } from './support/raw-upstream.ts';
import { answer, get, post, respond, settled, startBoth } from './support/setup.ts';

const echo = ({ message, connection }: SeenRequest) =>
  connection.socket.write(answer(message.firstLine.split(' ')[1] ?? ''));

describe('pipelined requests', () => {
  test('are answered in order, each forwarded once the one before is answered', async () => {
    await using both = await startBoth({});
    using client = await connectRaw(both.proxy.port);
    client.send(get('/1') + post('/2', 'GET /hidden HTTP/1.1\r\n\r\n') + get('/3'));
    for (const n of [1, 2, 3]) {
      const request = await waitFor(() => both.api.requests[n - 1], { for: `request ${n}` });
      expect(both.api.requests).toHaveLength(n);
      echo(request);
      await client.until((received) => received.endsWith(`/${n}`));
    }
  });

  test('are read ahead only up to a limit', async () => {
    await using both = await startBoth({});
    using client = await connectRaw(both.proxy.port);
    client.send(get('/1'));
    await waitFor(() => both.api.requests[0], { for: 'the first request' });
    let taken = 0;
    const piece = get('/2', `X: ${'x'.repeat(8_000)}`);
    const count = 3_000;
    const next = () => {
      if (taken === count) return;
      client.socket.write(piece, () => {
        taken += 1;
        next();
      });
    };
    next();
    await settled(() => taken);
    expect(taken).toBeLessThan(count / 2);
    both.api.behaviour = { onRequest: echo };
    echo(both.api.requests[0] as SeenRequest);
    await waitFor(() => both.api.requests.length === count + 1 || undefined, { for: 'all requests' });
  });
});

describe('a client that half-closes its connection', () => {
  test('still gets its response, without the API noticing', async () => {
    await using both = await startBoth({});
    using client = await connectRaw(both.proxy.port);
    client.send(post('/a', 'hello'));
    client.end();
    const request = await waitFor(() => both.api.requests[0], { for: 'the request' });
    expect(request.connection.ended).toBe(false);
    respond(request);
    expect(await client.all()).toBe(answer('ok'));
  });

  test("in the middle of its request half-closes towards the API, and gets the API's answer", async () => {
    const hook = createRecordingHook();
    await using both = await startBoth({ onEnd: ({ socket }) => socket.end(answer('cut', 400)) }, { hook });
    using client = await connectRaw(both.proxy.port);
    client.send(post('/a', 'hello').slice(0, -2));
    client.end();
    expect(await client.all()).toMatch(/^HTTP\/1\.1 400 [\s\S]*cut$/);
    expect(both.api.connections[0]?.received).toBe(post('/a', 'hello').slice(0, -2));
    expect(hook.calls[0]?.intent).toEqual({ body: 'hel', extent: 'cutShort' });
    expect(await hook.calls[0]?.finished).toMatchObject({ kind: 'responded', status: 400 });
  });

  test('in the middle of a head is disconnected, without the API noticing', async () => {
    await using both = await startBoth({});
    using client = await connectRaw(both.proxy.port);
    client.send('GET /a HTTP/1.1\r\nHost: a\r\n');
    client.end();
    expect(await client.all()).toBe('');
    expect(both.api.connections).toEqual([]);
  });

  test('is disconnected when it was idle', async () => {
    await using both = await startBoth({ onRequest: respond });
    using client = await connectRaw(both.proxy.port);
    client.send(get('/a'));
    await client.until((received) => received.endsWith('ok'));
    client.end();
    await client.closed;
    expect(client.broken).toBe(false);
  });
});

describe('a client that goes away', () => {
  test('aborts its read', async () => {
    await using both = await startBoth({});
    using client = await connectRaw(both.proxy.port);
    client.send(get('/a'));
    const request = await waitFor(() => both.api.requests[0], { for: 'the request' });
    client.socket.resetAndDestroy();
    await request.connection.closed;
    expect(await both.proxy.metric('requests_total', { outcome: 'clientGone' })).toBe(1);
  });

  test('does not abort its write, which is completed', async () => {
    const hook = createRecordingHook();
    await using both = await startBoth({}, { hook });
    using client = await connectRaw(both.proxy.port);
    client.send(post('/a', 'hello'));
    const request = await waitFor(() => both.api.requests[0], { for: 'the request' });
    client.socket.resetAndDestroy();
    await waitFor(
      async () => (await both.proxy.metric('open_connections', { side: 'upstream_busy' })) === 1 || undefined,
      {
        for: 'the write to go on',
      },
    );
    expect(hook.calls[0]?.outcome).toBeUndefined();
    request.connection.socket.write(answer('x'.repeat(100_000), 201));
    expect(await hook.calls[0]?.finished).toMatchObject({ kind: 'responded', status: 201, truncated: false });
  });

  test('does not abort its write even when the API has not begun to read it', async () => {
    const hook = createRecordingHook();
    let seen = 0;
    await using both = await startBoth(
      {
        onConnection: ({ socket }) => socket.pause(),
        onData(_connection, bytes) {
          seen += bytes.length;
        },
      },
      { hook },
    );
    using client = await connectRaw(both.proxy.port);
    const request = post('/a', 'x'.repeat(60_000));
    client.send(request);
    await waitFor(() => hook.calls[0]?.intent, { for: 'the intent' });
    client.socket.resetAndDestroy();
    both.api.connections[0]?.socket.resume();
    await waitFor(() => seen === request.length || undefined, { for: 'the whole request' });
  });

  test('is waited for no longer than the API may take', async () => {
    const hook = createRecordingHook();
    await using both = await startBoth({}, { hook, limits: { carryMs: 50 } });
    using client = await connectRaw(both.proxy.port);
    client.send(post('/a', 'hello'));
    const request = await waitFor(() => both.api.requests[0], { for: 'the request' });
    client.socket.resetAndDestroy();
    expect(await hook.calls[0]?.finished).toEqual({ kind: 'unknown', why: 'timeout' });
    await request.connection.closed;
  });

  test('in the middle of its write is seen to do so by the API', async () => {
    const hook = createRecordingHook();
    await using both = await startBoth({}, { hook });
    using client = await connectRaw(both.proxy.port);
    const partial = post('/a', 'hello').slice(0, -2);
    client.send(partial);
    await waitFor(() => both.api.connections[0]?.received === partial || undefined, { for: 'the first bytes' });
    client.socket.resetAndDestroy();
    await both.api.connections[0]?.closed;
    expect(both.api.connections[0]).toMatchObject({ broken: true, received: partial });
    expect(hook.calls[0]?.intent).toEqual({ body: 'hel', extent: 'cutShort' });
    expect(await hook.calls[0]?.finished).toEqual({ kind: 'unknown', why: 'clientGone' });
  });

  test('aborts a long response', async () => {
    await using both = await startBoth({
      onRequest: ({ connection }) => connection.socket.write(`HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(50_000_000)}`),
    });
    using client = await connectRaw(both.proxy.port);
    client.send(get('/a'));
    await client.until((received) => received.length > 100_000);
    client.socket.resetAndDestroy();
    await both.api.connections[0]?.closed;
  });
});

describe('a keep-alive connection of a client', () => {
  test('serves several requests in a row', async () => {
    await using both = await startBoth({ onRequest: echo });
    using client = await connectRaw(both.proxy.port);
    for (const n of [1, 2, 3]) {
      client.send(post(`/${n}`, 'hello'));
      await client.until((received) => received.endsWith(`/${n}`));
    }
    expect(client.ended).toBe(false);
  });

  test('stays open when the API closes its own', async () => {
    await using both = await startBoth({
      onRequest: ({ connection }) => connection.socket.end(answer('ok', 200, 'Connection: close')),
    });
    using client = await connectRaw(both.proxy.port);
    client.send(get('/1') + get('/2'));
    const received = await client.until((text) => text.split('\r\n\r\nok').length === 3);
    expect(received).not.toContain('close');
  });

  test('is closed when the client is silent for too long', async () => {
    await using both = await startBoth({ onRequest: respond }, { limits: { idleClientMs: 50 } });
    using client = await connectRaw(both.proxy.port);
    client.send(get('/a'));
    expect(await client.all()).toBe(answer('ok'));
  });

  test.each([
    ['HTTP/1.1 by default', get('/a'), true],
    ['HTTP/1.1 unless the client wants it closed', get('/a', 'Connection: close'), false],
    ['HTTP/1.0 by request', get('/a', 'Connection: keep-alive').replace('1.1', '1.0'), true],
    ['HTTP/1.0 not by default', get('/a').replace('1.1', '1.0'), false],
  ])('%s', async (_name, request, kept) => {
    await using both = await startBoth({ onRequest: respond });
    using client = await connectRaw(both.proxy.port);
    client.send(request);
    await client.until((received) => received.endsWith('ok'));
    client.send(request);
    const received = await client.untilOrEnd((text) => text.split('\r\n\r\nok').length === 3);
    expect(received.split('\r\n\r\nok').length === 3).toBe(kept);
  });
});

describe('a proxy that stops', () => {
  test('closes idle connections, lets requests finish, and accepts no more', async () => {
    await using both = await startBoth({ onRequest: echo });
    using idle = await connectRaw(both.proxy.port);
    using busy = await connectRaw(both.proxy.port);
    idle.send(get('/idle'));
    await idle.until((received) => received.endsWith('/idle'));
    both.api.behaviour = {};
    busy.send(get('/busy') + get('/late'));
    const request = await waitFor(() => both.api.requests[1], { for: 'the request' });
    const stopped = both.proxy.proxy.stop(30_000);
    await idle.all();
    await expect(connectRaw(both.proxy.port)).rejects.toThrow('ECONNREFUSED');
    echo(request);
    expect(await busy.all()).toMatch(/Connection: close\r\n\r\n\/busy$/);
    await stopped;
    expect(both.api.requests).toHaveLength(2);
  });

  test('cuts off what has not finished in time, and finishes every capture', async () => {
    const hook = createRecordingHook();
    await using both = await startBoth({}, { hook });
    using client = await connectRaw(both.proxy.port);
    using gone = await connectRaw(both.proxy.port);
    client.send(post('/a', 'hello'));
    gone.send(post('/b', 'hello'));
    await waitFor(() => both.api.requests.length === 2 || undefined, { for: 'the requests' });
    gone.socket.resetAndDestroy();
    await both.proxy.proxy.stop(50);
    expect(hook.calls.map(({ outcome }) => outcome)).toEqual([
      { kind: 'unknown', why: 'stopped' },
      { kind: 'unknown', why: 'stopped' },
    ]);
    expect(await client.all()).toBe('');
  });
});
