import { fork } from 'node:child_process';
import { once } from 'node:events';
import { DEFAULT_LIMITS } from '@edge-migration/replay-sidecar/capture/proxy/limits.ts';
import { expect, test } from 'vitest';
import { connectRaw, type RawClient } from './support/raw-client.ts';
import { startRawUpstream } from './support/raw-upstream.ts';
import { answer, ask, get, respond } from './support/setup.ts';

const MEGABYTE = 1024 * 1024;
const LARGE = 100 * MEGABYTE;
/** Garbage that may accumulate before a collection; it does not depend on how much passes. */
const SLACK = { pass: 96 * MEGABYTE, capture: 96 * MEGABYTE + 4 * DEFAULT_LIMITS.capturedBodyBytes };
const FLAT = 40 * MEGABYTE;

async function startProxyProcess(upstreamPort: number, mode: string) {
  const child = fork(`${import.meta.dirname}/support/proxy-process.ts`, [String(upstreamPort), mode], { execArgv: [] });
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return {
    port,
    async peak() {
      child.send('peak');
      const [{ peak }] = (await once(child, 'message')) as [{ peak: number }];
      return peak;
    },
    async [Symbol.asyncDispose]() {
      const exited = once(child, 'exit');
      child.disconnect();
      await exited;
    },
  };
}

/** Writes the piece repeatedly, no faster than it is accepted. */
async function pour(write: (piece: Buffer, done: () => void) => void, piece: Buffer, times: number): Promise<void> {
  for (let n = 0; n < times; n += 1) await new Promise<void>((resolve) => write(piece, resolve));
}

async function upload(client: RawClient, head: string, piece: Buffer, times: number, end: string): Promise<void> {
  const before = client.received.length;
  client.send(head);
  await pour((bytes, done) => client.socket.write(bytes, done), piece, times);
  client.send(end);
  await client.until((received) => received.slice(before).endsWith('ok'));
}

test.each(['pass', 'capture'] as const)('100 MB in either direction leave the memory flat (%s)', async (mode) => {
  const piece = Buffer.alloc(MEGABYTE, 'x');
  const chunk = Buffer.concat([Buffer.from('100000\r\n'), piece, Buffer.from('\r\n')]);
  let seen = 0;
  await using api = await startRawUpstream({
    onData({ socket }, bytes) {
      seen += bytes.length;
      const end = bytes.subarray(-7).toString('latin1');
      if (bytes.length < 100 && bytes.toString('latin1').startsWith('GET')) {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${LARGE}\r\n\r\n`);
        void pour((data, done) => socket.write(data, done), piece, 100);
      } else if (/END(?:\r\n\r\n)?$/.test(end)) {
        socket.write(answer('ok'));
      }
    },
  });
  await using proxy = await startProxyProcess(api.port, mode);
  const exchangeAll = async () => {
    using client = await connectRaw(proxy.port);
    await upload(client, `POST /a HTTP/1.1\r\nContent-Length: ${LARGE + 3}\r\n\r\n`, piece, 100, 'END');
    await upload(client, 'POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n', chunk, 100, '0\r\nX: END\r\n\r\n');
    await download(proxy.port);
  };
  const atStart = await proxy.peak();
  await exchangeAll();
  const once = await proxy.peak();
  await exchangeAll();
  const twice = await proxy.peak();
  expect(seen).toBeGreaterThan(4 * LARGE);
  expect(once - atStart, 'after 300 MB').toBeLessThan(SLACK[mode]);
  expect(twice - once, 'after 300 MB more').toBeLessThan(FLAT);
});

test('a thousand connections with a megabyte of unfinished head each leave the memory flat, and others served', async () => {
  await using api = await startRawUpstream({ onRequest: respond });
  await using proxy = await startProxyProcess(api.port, 'pass');
  const head = Buffer.from(`GET /a HTTP/1.1\r\n${`X: ${'a'.repeat(8_000)}\r\n`.repeat(130)}`).subarray(0, 1_040_000);
  const clients: RawClient[] = [];
  const atStart = await proxy.peak();
  for (let n = 0; n < 1_000; n += 1) {
    const client = await connectRaw(proxy.port);
    client.send(head);
    clients.push(client);
    if (n % 100 === 99) expect(await ask(proxy.port, get('/b'))).toContain(' 200 ');
  }
  expect((await proxy.peak()) - atStart).toBeLessThan(176 * MEGABYTE);
  for (const client of clients) client[Symbol.dispose]();
}, 600_000);

async function download(port: number): Promise<void> {
  let downloaded = 0;
  using client = await connectRaw(port);
  client.socket.removeAllListeners('data').on('data', (bytes) => {
    downloaded += bytes.length;
    if (downloaded > LARGE) client.socket.destroy();
  });
  client.send(get('/a'));
  await client.closed;
}
