import type { Socket } from 'node:net';
import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { describe, expect, test } from 'vitest';
import { createRecordingHook, PASS_ALL } from './support/proxy-under-test.ts';
import { connectRaw } from './support/raw-client.ts';
import { answer, get, post, settled, startBoth } from './support/setup.ts';

const hooks = { 'passed on': () => PASS_ALL, captured: () => createRecordingHook() };

describe.each(Object.entries(hooks))('a streamed request that is %s', (_name, createHook) => {
  test('is forwarded while it arrives', async () => {
    await using both = await startBoth({}, { hook: createHook() });
    using client = await connectRaw(both.proxy.port);
    client.send('POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (const chunk of ['3\r\none\r\n', '3\r\ntwo\r\n', '5\r\nthree\r\n']) {
      client.send(chunk);
      await waitFor(() => both.api.connections[0]?.received.endsWith(chunk) || undefined, { for: chunk });
    }
  });

  test('gets its response while the API writes it', async () => {
    await using both = await startBoth({}, { hook: createHook() });
    using client = await connectRaw(both.proxy.port);
    client.send(get('/a'));
    const { socket } = (await waitFor(() => both.api.requests[0], { for: 'the request' })).connection;
    for (const piece of ['HTTP/1.1 200 OK\r\nTransfer-Enc', 'oding: chunked\r\n\r\n', '3\r\none\r\n', '0\r\n\r\n']) {
      socket.write(piece);
      if (!piece.startsWith('HTTP')) await client.until((received) => received.endsWith(piece));
    }
  });

  test('may be answered before it is complete, and continues', async () => {
    await using both = await startBoth(
      { onHead: (_head, { socket }) => socket.write(answer('early')) },
      { hook: createHook() },
    );
    using client = await connectRaw(both.proxy.port);
    client.send(post('/a', 'x'.repeat(10)).slice(0, -5));
    await client.until((received) => received.endsWith('early'));
    client.send('xxxxx');
    await waitFor(() => both.api.requests[0], { for: 'the whole request' });
    both.api.behaviour = { onRequest: ({ connection }) => connection.socket.write(answer('second')) };
    client.send(get('/b'));
    await client.until((received) => received.endsWith('second'));
  });

  test('may be answered and broken off by the API: the client can read the answer', async () => {
    await using both = await startBoth(
      { onHead: (_head, { socket }) => socket.end(answer('too large', 413, 'Connection: close')) },
      { hook: createHook(), limits: { lingerMs: 5_000 } },
    );
    using client = await connectRaw(both.proxy.port);
    client.send(post('/a', 'x'.repeat(5_000_000)).slice(0, -1));
    expect(await client.all()).toMatch(/^HTTP\/1\.1 413 [\s\S]*too large$/);
  });
});

const MEGABYTE = 1024 * 1024;
const TOTAL = 24 * MEGABYTE;

test('an API that does not read slows its client down, and nothing is lost', async () => {
  let seen = 0;
  await using both = await startBoth({
    onConnection: ({ socket }) => socket.pause(),
    onData(_connection, bytes) {
      seen += bytes.length;
    },
  });
  using client = await connectRaw(both.proxy.port);
  const head = `POST /a HTTP/1.1\r\nContent-Length: ${TOTAL}\r\n\r\n`;
  client.send(head);
  const taken = pour(client.socket, TOTAL);
  await settled(() => taken.bytes);
  expect(taken.bytes, 'most of it waits at the client').toBeLessThan(TOTAL / 2);
  both.api.connections[0]?.socket.resume();
  await waitFor(() => seen === head.length + TOTAL || undefined, { for: 'all bytes at the API' });
});

test('a client that does not read slows the API down, and nothing is lost', async () => {
  let taken = { bytes: 0 };
  await using both = await startBoth({
    onRequest({ connection: { socket } }) {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${TOTAL}\r\n\r\n`);
      taken = pour(socket, TOTAL);
    },
  });
  using client = await connectRaw(both.proxy.port);
  client.socket.pause();
  client.send(get('/a'));
  await waitFor(() => both.api.requests[0], { for: 'the request' });
  await settled(() => taken.bytes);
  expect(taken.bytes, 'most of it waits at the API').toBeLessThan(TOTAL / 2);
  let seen = 0;
  client.socket.on('data', (bytes) => {
    seen += bytes.length;
  });
  client.socket.resume();
  await waitFor(() => seen > TOTAL || undefined, { for: 'all bytes at the client' });
});

test('a slow client gets all of its last response before the connection closes', async () => {
  let taken = { bytes: 0 };
  await using both = await startBoth(
    {
      onRequest({ connection: { socket } }) {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${TOTAL}\r\n\r\n`);
        taken = pour(socket, TOTAL);
      },
    },
    { limits: { lingerMs: 25 } },
  );
  using client = await connectRaw(both.proxy.port);
  client.socket.pause();
  client.send(get('/a', 'Connection: close'));
  await waitFor(() => both.api.requests[0], { for: 'the request' });
  await settled(() => taken.bytes);
  client.socket.resume();
  expect((await client.all()).length).toBeGreaterThan(TOTAL);
});

/** Writes as fast as the peer reads; `bytes`: how much it has accepted. */
function pour(socket: Socket, total: number): { bytes: number } {
  const taken = { bytes: 0 };
  const piece = Buffer.alloc(64 * 1024, 'x');
  const next = () => {
    if (taken.bytes === total) return;
    socket.write(piece, (error) => {
      if (error) return;
      taken.bytes += piece.length;
      next();
    });
  };
  next();
  return taken;
}
