/** The capture sidecar as deployed: its flags, and the settings of the C library's allocator. */
import { connect } from 'node:net';

import { makeStreams } from '@edge-migration/replay-sidecar/capture/publisher/testing.ts';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { startNullApi, startSidecar, type Target } from '../bench/sidecar/parts.ts';
import { residentMegabytes } from '../bench/usage.ts';
import { type Nats, startNats } from '../cluster/nats.ts';
import { waitFor } from '../cluster/wait.ts';

vi.setConfig({ testTimeout: 600_000 });

let nats: Nats;
let api: Target;
beforeAll(async () => {
  nats = await startNats();
  await makeStreams(nats.url);
  api = await startNullApi();
});
afterAll(async () => {
  await api?.[Symbol.asyncDispose]();
  await nats?.stop();
});

/** Identity writes with thousands of traits each, `times` in sequence on each of 40 connections. */
async function burst(port: number, times: number): Promise<void> {
  const traits = Array.from({ length: 13_000 }, (_, n) => ({ trait_key: `key-${n}`, trait_value: 'x'.repeat(20) }));
  const body = JSON.stringify({ identifier: 'large', traits });
  const head = [
    'POST /api/v1/identities/ HTTP/1.1',
    'Host: flags.example.com',
    'X-Environment-Key: kJmZcVhXnP4pZzLtYw3aRq',
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
  ];
  const request = `${head.join('\r\n')}\r\n\r\n${body}`;
  const client = () =>
    new Promise<void>((resolve, reject) => {
      let answers = 0;
      const socket = connect(port, '127.0.0.1', () => socket.write(request));
      socket.on('error', reject);
      socket.on('data', () => {
        answers += 1;
        if (answers < times) socket.write(request);
        else socket.end(resolve);
      });
    });
  await Promise.all(Array.from({ length: 40 }, client));
}

/** Reads of this many identities, two of each, over 20 connections; their names fill the longest request line. */
async function readLongNames(port: number, count: number): Promise<void> {
  const request = (n: number) =>
    `GET /api/v1/identities/?identifier=%F0%9F%98%80${n}${'%01'.repeat(1_300)} HTTP/1.1\r\nHost: x\r\nX-Environment-Key: kJmZcVhXnP4pZzLtYw3aRq\r\n\r\n`;
  let next = 0;
  const client = () =>
    new Promise<void>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', send);
      function send() {
        if (next === 2 * count) socket.end(resolve);
        else socket.write(request(Math.floor(next++ / 2)));
      }
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('The sidecar closed a connection')));
      socket.on('data', send);
    });
  await Promise.all(Array.from({ length: 20 }, client));
}

describe.skipIf(process.platform !== 'linux')("the sidecar's memory (read from /proc: needs Linux)", () => {
  it('is returned to the system after a burst of large bodies', async () => {
    await using sidecar = await startSidecar(api.port, nats);
    const resident = () => residentMegabytes(sidecar.service.pid);
    await burst(sidecar.port, 3);
    await sidecar.drained();
    const settled = await waitFor(async () => (await resident()) < 130 && (await resident()), {
      for: 'the memory of the burst to be given back',
      timeoutMs: 120_000,
      intervalMs: 500,
    });
    expect(settled).toBeLessThan(130);
  });

  it('does not grow with the names that clients make up', async () => {
    await using sidecar = await startSidecar(api.port, nats);
    await readLongNames(sidecar.port, 5_000);
    expect(await residentMegabytes(sidecar.service.pid, 'VmHWM')).toBeLessThan(256);
  });
});
