import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { expect, test } from 'vitest';
import { createRecordingHook } from './support/proxy-under-test.ts';
import { connectRaw } from './support/raw-client.ts';
import { answer, get, settled, startBoth } from './support/setup.ts';

const UPGRADE = get('/ws', 'Connection: keep-alive, Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: x');
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nconnection: upgrade\r\n\r\n';

test('an upgrade reaches the API unchanged, as does its answer the client', async () => {
  await using both = await startBoth({ onRequest: ({ connection }) => connection.socket.write(`${SWITCH}first`) });
  using client = await connectRaw(both.proxy.port);
  client.send(UPGRADE);
  expect(await client.until((received) => received.endsWith('first'))).toBe(`${SWITCH}first`);
  expect(both.api.requests[0]?.text).toBe(UPGRADE);
});

test('after an upgrade any bytes pass in both directions', async () => {
  const hook = createRecordingHook();
  await using both = await startBoth({ onRequest: ({ connection }) => connection.socket.write(SWITCH) }, { hook });
  using client = await connectRaw(both.proxy.port);
  const bytes = 'GET /hidden HTTP/1.1\nContent-Length : 5\0\xff';
  client.send(UPGRADE + bytes);
  const connection = await waitFor(() => both.api.connections[0], { for: 'the connection' });
  await waitFor(() => connection.received === UPGRADE + bytes || undefined, { for: 'the bytes' });
  connection.socket.write('nonsense\r\n\r\n');
  await client.until((received) => received.endsWith('nonsense\r\n\r\n'));
  client.send('more');
  await waitFor(() => connection.received.endsWith('more') || undefined, { for: 'more' });
  expect(hook.calls).toHaveLength(1);
  expect(hook.calls[0]?.outcome).toMatchObject({ kind: 'responded', status: 101 });
  expect(await both.proxy.metric('requests_total', { outcome: 'upgraded' })).toBe(1);
});

test('after an upgrade either side may close independently', async () => {
  await using both = await startBoth({
    onRequest: ({ connection }) => connection.socket.write(SWITCH),
    onEnd: () => {},
  });
  using client = await connectRaw(both.proxy.port);
  client.send(UPGRADE);
  await client.until((received) => received === SWITCH);
  const { socket, ...connection } = await waitFor(() => both.api.connections[0], { for: 'the connection' });
  socket.end('last words of the API');
  expect(await client.all()).toBe(`${SWITCH}last words of the API`);
  client.send('last words of the client');
  client.end();
  await connection.closed;
  expect(both.api.connections[0]?.received).toBe(`${UPGRADE}last words of the client`);
});

test('after an upgrade a client that goes away closes the connection to the API', async () => {
  await using both = await startBoth({ onRequest: ({ connection }) => connection.socket.write(SWITCH) });
  using client = await connectRaw(both.proxy.port);
  client.send(UPGRADE);
  await client.until((received) => received === SWITCH);
  client.socket.resetAndDestroy();
  await both.api.connections[0]?.closed;
});

test('after an upgrade a slow side slows down the other', async () => {
  const total = 24 * 1024 * 1024;
  let taken = 0;
  await using both = await startBoth({
    onRequest({ connection: { socket } }) {
      socket.write(SWITCH);
      socket.pause();
    },
  });
  using client = await connectRaw(both.proxy.port);
  client.send(UPGRADE);
  await client.until((received) => received === SWITCH);
  const piece = Buffer.alloc(64 * 1024, 'x');
  const next = () => {
    if (taken === total) return;
    client.socket.write(piece, () => {
      taken += piece.length;
      next();
    });
  };
  next();
  await settled(() => taken);
  expect(taken).toBeLessThan(total / 2);
  let seen = 0;
  both.api.behaviour = {
    onData(_connection, bytes) {
      seen += bytes.length;
    },
  };
  both.api.connections[0]?.socket.resume();
  await waitFor(() => seen === total || undefined, { for: 'all bytes' });
});

test('an API that does not upgrade answers normally', async () => {
  await using both = await startBoth({ onRequest: ({ connection }) => connection.socket.write(answer('no', 426)) });
  using client = await connectRaw(both.proxy.port);
  client.send(UPGRADE + get('/next'));
  await client.until((received) => received.split('no').length === 3);
  expect(both.api.requests).toHaveLength(2);
});

test('an upgrade to HTTP/2, which would hide requests, does not reach the API', async () => {
  await using both = await startBoth({ onRequest: ({ connection }) => connection.socket.write(answer('ok')) });
  using client = await connectRaw(both.proxy.port);
  client.send(
    get('/a', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA'),
  );
  await client.until((received) => received.endsWith('ok'));
  expect(both.api.requests[0]?.text).toBe(get('/a'));
});
