import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { afterEach, describe, expect, test } from 'vitest';
import { startSidecar } from '../sidecar/process.ts';
import { createRecordingHook } from './support/proxy-under-test.ts';
import { connectRaw, type RawClient } from './support/raw-client.ts';
import { type SeenRequest, startRawUpstream } from './support/raw-upstream.ts';
import { answer, ask, get, post, respond, settled, startBoth } from './support/setup.ts';

const clients: RawClient[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client[Symbol.dispose]();
});

/** A client whose connection the proxy has accepted; it is dropped at the end of the test. */
async function join({
  port,
  proxy,
}: {
  port: number;
  proxy: { connections: { clients: number } };
}): Promise<RawClient> {
  const before = proxy.connections.clients;
  const client = await connectRaw(port);
  clients.push(client);
  await waitFor(() => proxy.connections.clients !== before || client.ended || undefined, { for: 'the connection' });
  return client;
}

async function serve(client: RawClient): Promise<void> {
  const before = client.received.length;
  client.send(get('/a'));
  await client.until((received) => received.slice(before).endsWith('ok'));
}

/** Holds requests below `/wait` and answers the others. */
const answerSome = (request: SeenRequest) => !request.message.firstLine.includes('/wait') && respond(request);

describe('when the connection limit is reached', () => {
  test('the connection that has been idle for longest is closed', async () => {
    await using both = await startBoth({ onRequest: respond }, { limits: { clients: 2 } });
    const [first, second] = [await join(both.proxy), await join(both.proxy)];
    await serve(first);
    await serve(second);
    await serve(first);
    const third = await connectRaw(both.proxy.port);
    clients.push(third);
    await serve(third);
    expect(await second.all()).toBe(answer('ok'));
    expect([first.ended, third.ended]).toEqual([false, false]);
    expect(await both.proxy.metric('cut_connections_total', { state: 'idle' })).toBe(1);
  });

  test('a connection that never sent a whole request is closed before an idle one', async () => {
    await using both = await startBoth({ onRequest: respond }, { limits: { clients: 2 } });
    const idle = await join(both.proxy);
    await serve(idle);
    const asking = await join(both.proxy);
    asking.send('GET /a HTTP/1.1\r\nHost');
    expect(await ask(both.proxy.port, get('/b'))).toContain('200');
    expect(await asking.all()).toMatch(/^(?:HTTP\/1\.1 408 |$)/);
    expect(idle.ended).toBe(false);
  });

  test.each([
    ['sends its body slowly', 'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello'],
    ['does not read its answer', get('/large')],
  ])('a connection that %s is closed, and its capture learns that', async (_how, request) => {
    const hook = createRecordingHook();
    const large = answer('x'.repeat(20_000_000));
    const onRequest = (seen: SeenRequest) =>
      seen.message.firstLine.includes('/large') ? seen.connection.socket.write(large) : respond(seen);
    await using both = await startBoth({ onRequest }, { limits: { clients: 1 }, hook });
    const slow = await join(both.proxy);
    slow.socket.pause();
    slow.send(request);
    await waitFor(() => hook.calls[0], { for: 'the request' });
    await waitFor(
      async () => {
        expect(await ask(both.proxy.port, get('/b'))).toContain(' 200 ');
        return (await both.proxy.metric('cut_connections_total', { state: 'slow' })) === 1 || undefined;
      },
      { for: 'the slow client to give way' },
    );
    expect((await hook.calls[0]?.finished)?.kind).toBe(request.startsWith('GET') ? 'responded' : 'unknown');
  });

  test('a connection whose request waits for the API is kept; some more are accepted, and then one is refused', async () => {
    const limits = { clients: 1, clientsAtMost: 2 };
    await using both = await startBoth({ onRequest: answerSome }, { limits });
    const busy: RawClient[] = [];
    for (const n of [0, 1]) {
      const client = await join(both.proxy);
      client.send(post('/wait', 'hello'));
      await waitFor(() => both.api.requests[n], { for: 'the request' });
      busy.push(client);
    }
    const refused = await connectRaw(both.proxy.port);
    clients.push(refused);
    expect(await refused.all()).toMatch(/^HTTP\/1\.1 503 /);
    for (const request of both.api.requests) respond(request);
    for (const client of busy) expect(await client.until((received) => received.endsWith('ok'))).toContain('200');
    expect(await both.proxy.metric('cut_connections_total', { state: 'refused' })).toBe(1);
  });
});

describe('request heads', () => {
  const LARGE = `GET /a HTTP/1.1\r\nHost: a\r\n${`X: ${'a'.repeat(8_000)}\r\n`.repeat(40)}`;

  test('beyond their common limit are refused, slowest first, while small ones are not', async () => {
    await using both = await startBoth({ onRequest: respond }, { limits: { headsTotalBytes: 1_500_000 } });
    const slow: RawClient[] = [];
    for (let n = 0; n < 4; n += 1) {
      const client = await join(both.proxy);
      client.send(LARGE);
      slow.push(client);
    }
    expect(await slow[0]?.all()).toMatch(/^(?:HTTP\/1\.1 408 |$)/);
    expect(slow.at(-1)?.ended).toBe(false);
    expect(await ask(both.proxy.port, get('/b', `X: ${'b'.repeat(8_000)}`))).toContain(' 200 ');
    slow.at(-1)?.send('\r\n');
    expect(await slow.at(-1)?.until((received) => received.endsWith('ok'))).toContain(' 200 ');
  });

  test('count until their requests are answered', async () => {
    const limits = { headsTotalBytes: 1_000_000 };
    await using both = await startBoth({ onRequest: answerSome }, { limits });
    const waiting = await join(both.proxy);
    waiting.send(`${LARGE.replace('/a', '/wait')}\r\n`);
    const request = await waitFor(() => both.api.requests[0], { for: 'the request' });
    const refused = await join(both.proxy);
    refused.send(`${LARGE}\r\n`);
    expect(await refused.all()).toMatch(/^HTTP\/1\.1 431 /);
    respond(request);
    await waiting.until((received) => received.endsWith('ok'));
    expect(await ask(both.proxy.port, `${LARGE}\r\n`)).toContain(' 200 ');
    expect(await both.proxy.metric('refused_total', { reason: 'headsTooLarge' })).toBe(1);
  });

  test('that take too long are refused, however steadily they arrive', async () => {
    await using both = await startBoth({ onRequest: respond }, { limits: { headMs: 300 } });
    const client = await join(both.proxy);
    client.send('GET /a HTTP/1.1\r\n');
    await waitFor(
      () => {
        if (!client.ended) client.send('X: y\r\n');
        return client.ended || undefined;
      },
      { for: 'the refusal' },
    );
    expect(client.received).toMatch(/^HTTP\/1\.1 408 /);
  });
});

describe('a client that sends request after request and reads no answer', () => {
  const LARGE = answer('x'.repeat(60_000));
  const onRequest = ({ connection }: SeenRequest) => connection.socket.write(LARGE);

  test('has only so many of them forwarded, and all of them once it reads', async () => {
    await using both = await startBoth({ onRequest });
    const client = await join(both.proxy);
    client.socket.pause();
    client.send(get('/a').repeat(2_000));
    await settled(() => both.api.requests.length);
    expect(both.api.requests.length).toBeLessThan(1_000);
    client.socket.resume();
    await client.until((received) => received.length === 2_000 * LARGE.length);
  });

  test('is cut off when it has not read for as long as a client may be idle', async () => {
    await using both = await startBoth({ onRequest }, { limits: { idleClientMs: 300 } });
    const client = await join(both.proxy);
    client.socket.pause();
    client.send(get('/a').repeat(1_000));
    await waitFor(() => both.proxy.proxy.connections.clients === 0 || undefined, { for: 'the end of the connection' });
    expect(both.api.requests.length).toBeGreaterThan(10);
  });
});

test('a process with few descriptors leaves some for probes and for the API', async () => {
  await using api = await startRawUpstream({ onRequest: respond });
  await using sidecar = await startSidecar({
    natsUrl: 'nats://127.0.0.1:1',
    upstreamPort: api.port,
    descriptors: 256,
  });
  const many = await Promise.all(Array.from({ length: 400 }, () => connectRaw(sidecar.port)));
  clients.push(...many);
  for (let n = 0; n < 3; n += 1) {
    expect(await sidecar.health('/livez')).toBe(200);
    expect(await ask(sidecar.port, get('/api/v1/flags/'))).toContain(' 200 ');
  }
});
