/**
 * The cost of the capture sidecar: the sidecar as deployed in front of an API that does nothing, and in its place
 * nginx and a bare pass-through of `node:http` and undici, so that machines can be compared. Each runs in its own
 * process; CPU time is the kernel's count for the process (Linux only).
 *
 *   npm run bench:sidecar -- [--requests 30000] [--rounds 5] [--json]
 *
 * CPU per request is measured under full load; the cost at 1,000/s, where each request wakes the process up, is a
 * separate row. The cost of a captured write lasts until its event is in the stream. Latency is measured at 1,000
 * requests/s, in rounds that alternate with the API alone; "added" is the median of the rounds' differences.
 */
import { parseArgs } from 'node:util';
import { makeStreams } from '@edge-migration/replay-sidecar/capture/publisher/testing.ts';
import { startNats } from '../cluster/nats.ts';
import type { Load } from './sidecar/load.ts';
import {
  load,
  publishMicros,
  type SidecarTarget,
  startBareProxy,
  startNginx,
  startNullApi,
  startSidecar,
  type Target,
} from './sidecar/parts.ts';
import { cpuSeconds, residentMegabytes } from './usage.ts';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '30000' },
    rounds: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
  },
});
const REQUESTS = Number(values.requests);
const ROUNDS = Number(values.rounds);
const RATE = 1_000;
const ROUND_REQUESTS = 2 * RATE;
const FULL = { connections: 16, requests: REQUESTS };
const PACED = { connections: 64, requests: ROUND_REQUESTS, rate: RATE };

async function main(): Promise<void> {
  if (process.platform !== 'linux') throw new Error('The benchmark reads /proc: it needs Linux');
  await using nats = await startNats();
  await makeStreams(nats.url);
  await using api = await startNullApi();
  await using sidecar = await startSidecar(api.port, nats);
  await using nginx = await startNginx(api.port);
  await using bare = await startBareProxy(api.port);
  if (nginx === undefined) console.error('nginx is not installed: its column stays empty');
  const targets = nginx === undefined ? [sidecar, bare] : [sidecar, bare, nginx];
  for (const target of [api, ...targets]) await load({ ...PACED, port: target.port, kind: 'read' });
  const reads = await compare(api, sidecar, 'read');
  const readsByNginx = nginx && (await compare(api, nginx, 'read'));
  const memory = await memoryOf(sidecar);
  const memoryOfBare = await memoryOf(bare);
  const slow = await spent(sidecar, { ...PACED, kind: 'read' });
  const slowByNginx = nginx && (await spent(nginx, { ...PACED, kind: 'read' }));

  for (const target of targets) await load({ ...FULL, port: target.port, kind: 'read', requests: REQUESTS / 5 });
  const passed = await spent(sidecar, { ...FULL, kind: 'read' });
  const passedByNginx = nginx && (await spent(nginx, { ...FULL, kind: 'read' }));
  const passedByBare = await spent(bare, { ...FULL, kind: 'read' });
  // A warm-up of the same size, because compilation dominates the first thousands, and a pod lives for days.
  await load({ ...FULL, port: sidecar.port, kind: 'write', requests: REQUESTS / 2 });
  await sidecar.drained();
  const captured = await spent(sidecar, { ...FULL, kind: 'write', requests: REQUESTS / 2 }, sidecar);
  const writtenByNginx = nginx && (await spent(nginx, { ...FULL, kind: 'write', requests: REQUESTS / 2 }));
  const writtenByBare = await spent(bare, { ...FULL, kind: 'write', requests: REQUESTS / 2 });
  const publish = await publishMicros(nats, REQUESTS / 2);
  const writes = await compare(api, sidecar, 'write');
  await sidecar.drained();

  const memoryOfNginx = nginx && (await memoryOf(nginx));
  console.table({
    'CPU per passed request (µs)': row(passed, passedByNginx, passedByBare),
    'CPU per captured write (µs)': row(captured, writtenByNginx, writtenByBare),
    'CPU per JetStream publish (µs)': row(undefined, undefined, publish),
    'CPU per passed request at 1,000/s (µs)': row(slow, slowByNginx),
    'Added p50 at 1,000/s (ms)': row(reads.p50, readsByNginx?.p50),
    'Added p99 at 1,000/s (ms)': row(reads.p99, readsByNginx?.p99),
    'Added p50 of captured writes (ms)': row(writes.p50),
    'Added p99 of captured writes (ms)': row(writes.p99),
    'Resident memory at 1,000/s (MB)': row(memory.all, memoryOfNginx?.all, memoryOfBare.all),
    '… of it not shared (MB)': row(memory.own, memoryOfNginx?.own, memoryOfBare.own),
    'Resident memory after full load (MB)': row((await memoryOf(sidecar)).all),
  });
  if (!values.json) return;
  const figures = {
    passMicros: passed,
    captureMicros: captured,
    nginxMicros: passedByNginx ?? null,
    bareMicros: passedByBare,
    publishMicros: publish,
    addedP50Ms: reads.p50,
    addedP99Ms: reads.p99,
    rssMb: memory.all,
  };
  console.log(JSON.stringify(figures, (_name, value) => (typeof value === 'number' ? round(value) : value)));
}

/** Microseconds of CPU time per request that the target spends on this load, including later publishing. */
async function spent(target: Target, spec: Omit<Load, 'port'>, draining?: SidecarTarget): Promise<number> {
  const before = await cpuSeconds(target.service.pid);
  const { requests } = await load({ ...spec, port: target.port });
  await draining?.drained();
  return (((await cpuSeconds(target.service.pid)) - before) * 1e6) / requests;
}

/** In megabytes, with the part not shared with other processes of the same image. */
async function memoryOf({ service: { pid } }: Target): Promise<{ all: number; own: number }> {
  return { all: await residentMegabytes(pid), own: await residentMegabytes(pid, 'RssAnon') };
}

interface Added {
  readonly p50: number;
  readonly p99: number;
}

/** Milliseconds that the target adds to the API's own. */
async function compare(api: Target, target: Target, kind: Load['kind']): Promise<Added> {
  const rounds: Added[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const alone = await load({ ...PACED, kind, port: api.port });
    const through = await load({ ...PACED, kind, port: target.port });
    rounds.push({ p50: through.p50Ms - alone.p50Ms, p99: through.p99Ms - alone.p99Ms });
  }
  return { p50: median(rounds.map(({ p50 }) => p50)), p99: median(rounds.map(({ p99 }) => p99)) };
}

/** For an even number, the mean of the two in the middle. */
function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return middle.reduce<number>((sum, number) => sum + (number ?? Number.NaN), 0) / 2;
}

function row(sidecar?: number, nginx?: number, bare?: number): Record<string, number | string> {
  const shown = (value: number | undefined) => (value === undefined ? '-' : round(value));
  return { sidecar: shown(sidecar), nginx: shown(nginx), 'node:http + undici': shown(bare) };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

await main();
