import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { createHttpHandler } from './http.ts';

const CERTIFICATES = new URL('../../../runtime/nats/fixtures/tls/', import.meta.url);
const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of cleanUp.splice(0)) await close();
  delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
});

/** A server that answers every other request, and its observations of connections that end. */
async function startServer(protocol: string) {
  const ends: string[] = [];
  let requests = 0;
  const listen: http.RequestListener = (request, response) => {
    request.resume();
    if (++requests % 2 === 0) response.end('{}');
  };
  const tls = {
    key: readFileSync(new URL('server-key.pem', CERTIFICATES)),
    cert: readFileSync(new URL('server.pem', CERTIFICATES)),
  };
  const server = protocol === 'https:' ? https.createServer(tls, listen) : http.createServer(listen);
  server.on(protocol === 'https:' ? 'secureConnection' : 'connection', (socket: Socket) => {
    socket.on('end', () => ends.push('closed'));
    socket.on('error', (error: NodeJS.ErrnoException) => ends.push(String(error.code)));
  });
  server.on('clientError', (_, socket) => socket.destroy());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUp.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { port: (server.address() as AddressInfo).port, ends, requests: () => requests };
}

function open(timeoutMs: number) {
  const handler = createHttpHandler({ timeoutMs, maxSockets: 1 });
  cleanUp.push(() => handler.destroy());
  return handler;
}

const request = (protocol: string, port: number) => ({
  ...{ protocol, hostname: '127.0.0.1', port, path: '/', method: 'POST', headers: {} },
  body: 'x'.repeat(1000),
});

for (const protocol of ['http:', 'https:']) {
  test(`over ${protocol}// an unanswered request resets its connection when its time is over`, async () => {
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    const server = await startServer(protocol);
    // The connection must be there before this time is over.
    const handler = open(5_000);
    let lost = 0;
    await expect(handler.handle(request(protocol, server.port), { lost: () => void lost++ })).rejects.toThrow(
      'no answer',
    );
    expect(lost).toBe(1);
    await expect.poll(() => server.ends).toEqual(['ECONNRESET']);
    const { response } = await open(120_000).handle(request(protocol, server.port), { lost: () => void lost++ });
    expect(response.statusCode).toBe(200);
    expect(lost).toBe(1);
  });

  test(`over ${protocol}// an aborted request, or one past its deadline, resets its connection`, async () => {
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    const server = await startServer(protocol);
    const handler = open(120_000);
    const abort = new AbortController();
    const aborted = handler.handle(request(protocol, server.port), { abortSignal: abort.signal });
    await expect.poll(server.requests).toBe(1);
    abort.abort(new Error('stop'));
    await expect(aborted).rejects.toThrow('stop');
    await handler.handle(request(protocol, server.port));
    // It passes once the request has arrived.
    const deadline = { left: () => (server.requests() < 3 ? 200 : 0) };
    await expect(handler.handle(request(protocol, server.port), { deadline })).rejects.toThrow('no answer');
    await expect.poll(() => server.ends).toEqual(['ECONNRESET', 'ECONNRESET']);
  });
}

test('a deadline that moves on while the request waits does not end it', async () => {
  const server = await startServer('http:');
  const handler = open(10_000);
  const started = performance.now();
  let asked = 0;
  const deadline = { left: () => (++asked < 4 ? 100 : 100 - (performance.now() - started)) };
  await expect(handler.handle(request('http:', server.port), { deadline })).rejects.toThrow('no answer');
  expect(asked).toBeGreaterThan(3);
});

test('a deadline that passes while it is checked ends the request, and no timer gets a negative time', async () => {
  const timers = vi.spyOn(globalThis, 'setTimeout');
  cleanUp.push(() => timers.mockRestore());
  const server = await startServer('http:');
  // As on a busy machine: each check comes later than the one before.
  const left = [300, 10, 10, -5];
  const deadline = { left: () => left.shift() ?? -5 };
  await expect(open(10_000).handle(request('http:', server.port), { deadline })).rejects.toThrow('no answer');
  expect(timers.mock.calls.filter(([, milliseconds]) => (milliseconds ?? 0) < 0)).toEqual([]);
});

test('a request that was never sent does not count as lost', async () => {
  const server = await startServer('http:');
  const { port } = server;
  for (const close of cleanUp.splice(0)) await close();
  let lost = 0;
  await expect(open(300).handle(request('http:', port), { lost: () => void lost++ })).rejects.toThrow('ECONNREFUSED');
  expect(lost).toBe(0);
});
