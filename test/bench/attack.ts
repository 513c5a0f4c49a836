/**
 * Cost of hostile bodies and crowds of slow clients to the deployed sidecar: its peak memory, the longest time for which
 * its event loop was blocked (CPU time of the main thread, with garbage collection), and its memory ten seconds later.
 *
 *   npm run bench:attack -- [--only <part of a name>] [--json]
 *
 * Each case has its own sidecar. Linux only.
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeStreams } from '@edge-migration/replay-sidecar/capture/publisher/testing.ts';
import { startNats } from '../cluster/nats.ts';
import { createFolder, removeFolder } from '../cluster/reaper.ts';
import { waitFor } from '../cluster/wait.ts';
import { askStatus, CROWDS } from './sidecar/crowds.ts';
import { load, startNullApi, startSidecar } from './sidecar/parts.ts';
import { residentMegabytes } from './usage.ts';

const { values } = parseArgs({
  options: { only: { type: 'string', default: '' }, json: { type: 'boolean', default: false } },
});
const MIB = 1024 * 1024;
const REST_MS = 10_000;

interface Burst {
  readonly name: string;
  readonly request: string;
  readonly body: Buffer;
  readonly atOnce: number;
}

const IDENTIFY = 'POST /api/v1/identities/';
const BULK = 'PUT /api/v1/traits/bulk/';
const repeated = (piece: string, bytes: number) => Buffer.from(`[${piece.repeat(bytes / piece.length)}0]`);
const nested = (bytes: number) => Buffer.concat([Buffer.from('{"traits":'), repeated('[],', bytes), Buffer.from('}')]);

const BURSTS: readonly Burst[] = [
  { name: '4 MiB of empty arrays', request: IDENTIFY, body: nested(4 * MIB), atOnce: 1 },
  { name: '4 MiB of numbers', request: IDENTIFY, body: repeated('1,', 4 * MIB), atOnce: 1 },
  { name: '15 MiB of empty arrays', request: IDENTIFY, body: nested(15 * MIB), atOnce: 1 },
  { name: '4 MiB of empty arrays, 16 at once', request: IDENTIFY, body: nested(4 * MIB), atOnce: 16 },
  { name: '1 MB of empty arrays, 64 at once', request: IDENTIFY, body: nested(1_000_000), atOnce: 64 },
  { name: '1 MB of traits/bulk', request: BULK, body: bulk(1_000_000), atOnce: 1 },
  { name: '1 MB of traits/bulk, 16 at once', request: BULK, body: bulk(1_000_000), atOnce: 16 },
  {
    name: '1 MB of a form',
    request: IDENTIFY,
    body: Buffer.from('a=%C3%A9&'.repeat(9_900).padEnd(1_000_000, 'b')),
    atOnce: 16,
  },
];

function bulk(bytes: number): Buffer {
  const item = (n: number) => ({ identity: { identifier: `user-${n}` }, trait_key: 'plan', trait_value: 'enterprise' });
  const items = Array.from({ length: Math.floor(bytes / 90) }, (_, n) => item(n));
  return Buffer.from(JSON.stringify(items));
}

async function main(): Promise<void> {
  if (process.platform !== 'linux') throw new Error('The benchmark reads /proc: it needs Linux');
  await using api = await startNullApi();
  const rows: Record<string, object> = {};
  const bursts = BURSTS.map((burst) => ({
    name: burst.name,
    run: (port: number) => Promise.all(Array.from({ length: burst.atOnce }, () => send(port, burst))),
  }));
  for (const burst of [...bursts, ...CROWDS].filter(({ name }) => name.includes(values.only))) {
    // Each has its own stream, so that leftovers of one cannot fill it for the next.
    await using nats = await startNats();
    await makeStreams(nats.url);
    const folder = createFolder('bench-attack');
    const monitor = join(folder, 'loop.json');
    const imported = `--import=${fileURLToPath(new URL('./sidecar/loop-monitor.ts', import.meta.url))}`;
    const sidecar = await startSidecar(api.port, nats, {
      flags: [imported],
      environment: { BENCH_LOOP_FILE: monitor },
    });
    const { pid } = sidecar.service;
    const longestHold = async (): Promise<number> => {
      process.kill(pid, 'SIGUSR2');
      await waitFor(async () => (await readFile(monitor, 'utf8').catch(() => '')) !== '', { for: 'the monitor' });
      return (JSON.parse(await readFile(monitor, 'utf8')) as { millis: number }).millis;
    };
    await load({ connections: 4, requests: 2_000, port: sidecar.port, kind: 'write' });
    await sidecar.drained();
    const before = await residentMegabytes(pid);
    await longestHold();
    await rm(monitor);
    const began = performance.now();
    const answers = await burst.run(sidecar.port);
    const seconds = (performance.now() - began) / 1000;
    const held = await longestHold().catch(() => Number.NaN);
    await sleep(REST_MS);
    const peak = await residentMegabytes(pid, 'VmHWM').catch(() => Number.NaN);
    const after = await residentMegabytes(pid).catch(() => Number.NaN);
    rows[burst.name] = {
      'before (MB)': before,
      'peak (MB)': peak,
      '10 s later (MB)': after,
      'held (ms)': Math.round(held),
      seconds: Math.round(seconds * 10) / 10,
      answered: answers.filter((answer) => answer === '200').length,
    };
    console.error(burst.name, rows[burst.name]);
    await sidecar[Symbol.asyncDispose]();
    await removeFolder(folder);
  }
  console.table(rows);
  if (values.json) console.log(JSON.stringify(rows));
}

function send(port: number, { request, body, name }: Burst): Promise<string> {
  const type = name.endsWith('form') ? 'application/x-www-form-urlencoded' : 'application/json';
  return askStatus(port, (socket) => {
    const head = [`${request} HTTP/1.1`, 'Host: x', 'X-Environment-Key: key', `Content-Type: ${type}`];
    socket.write(`${[...head, `Content-Length: ${body.length}`].join('\r\n')}\r\n\r\n`);
    socket.write(body);
  });
}

await main();
