/** The capture sidecar as a process on a disk whose calls hang, which no signal or time limit can end. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import {
  administrate,
  eventsIn,
  makeStreams,
  namesOf,
} from '@edge-migration/replay-sidecar/capture/publisher/testing.ts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { type Nats, startNats } from '../cluster/nats.ts';
import { waitFor } from '../cluster/wait.ts';
import { createHangingDisk, type HangingDisk, hasCompiler } from './sidecar/hanging-disk.ts';
import { lastReport, type SidecarProcess, startSidecar } from './sidecar/process.ts';
import { createTraffic } from './sidecar/traffic.ts';

vi.setConfig({ testTimeout: 600_000 });

/** A request waits a quarter of a second for its intent; a busy machine takes longer, and stands still now and then. */
const PROMPT_MS = 3000;

describe.skipIf(!hasCompiler())('a spool on a disk that hangs (needs a C compiler)', () => {
  let api: Server;
  let nats: Nats;
  let disk: HangingDisk;

  beforeAll(async () => {
    api = createServer((request, response) => {
      request.resume().on('end', () => response.setHeader('Content-Type', 'application/json').end('{"traits":[]}'));
    });
    await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => api?.close());
  beforeEach(async () => {
    nats = await startNats();
    await makeStreams(nats.url);
    disk = createHangingDisk();
  });
  afterEach(async () => {
    disk?.release();
    await nats?.stop();
    await disk?.[Symbol.asyncDispose]();
  });

  const start = (settings: Record<string, string> = {}): Promise<SidecarProcess> =>
    startSidecar({
      // By name: the look-up takes one of the threads that file calls use.
      natsUrl: `nats://localhost:${nats.port}`,
      upstreamPort: (api.address() as AddressInfo).port,
      settings: { SPOOL_DIRECTORY: disk.path, SPOOL_SYNC: 'interval', ...settings },
      env: disk.env,
    });

  const isConnected = (sidecar: SidecarProcess) => async () =>
    (await sidecar.metric('edge_migration_sidecar_connected')) === 1;

  const openGap = () =>
    waitFor(
      async () =>
        (await lastReport(nats.url))?.gaps.find(({ reason, until }) => reason === 'spoolFailing' && until === null),
      { for: 'the gap to be reported' },
    );

  it('keeps no request waiting, reports the time as a gap, and loses nothing that is in memory', async () => {
    await using sidecar = await start();
    using traffic = createTraffic(sidecar.port);
    await traffic.burst('before', 50);
    disk.hang();
    const slow = await traffic.burst('while', 200);
    expect(slow.filter(({ status }) => status !== 200)).toEqual([]);
    // None has waited for the disk, which still hangs.
    const times = slow.map(({ beganTime, endedTime }) => endedTime - beganTime).toSorted((a, b) => a - b);
    expect(times[times.length / 2]).toBeLessThan(PROMPT_MS);
    expect(await sidecar.health('/livez')).toBe(200);
    await openGap();
    disk.release();
    await waitFor(async () => (await lastReport(nats.url))?.gaps.every(({ until }) => until !== null), {
      for: 'the end of the gap',
    });
    const names = traffic.writes.map(({ identifier }) => identifier).sort();
    await waitFor(async () => [...new Set(namesOf(await eventsIn(nats.url)))].length === names.length, {
      for: 'all writes to be in the stream',
    });
  });

  it('leaves threads for DNS lookups: the sidecar finds NATS again meanwhile', async () => {
    await using sidecar = await start();
    using traffic = createTraffic(sidecar.port);
    await traffic.burst('before', 50);
    await waitFor(isConnected(sidecar), { for: 'the first connection' });
    disk.hang();
    await traffic.burst('while', 50);
    await openGap();
    await nats.kill('SIGKILL');
    await waitFor(async () => !(await isConnected(sidecar)()), { for: 'the disconnection' });
    await nats.restart();
    await waitFor(isConnected(sidecar), { for: 'the connection' });
    await administrate(nats.url, (manager) => manager.streams.info('IDENTITY_WRITES'));
  });

  it('does not keep the API from being served when it hangs from the start', async () => {
    disk.hang();
    await using sidecar = await start();
    using traffic = createTraffic(sidecar.port);
    const writes = await traffic.burst('early', 20);
    expect(writes.filter(({ status }) => status !== 200)).toEqual([]);
    await openGap();
    disk.release();
    await waitFor(async () => (await lastReport(nats.url))?.allSentUntil !== null, { for: 'the spool to be open' });
  });

  it('does not keep the sidecar from exiting when its pod stops', async () => {
    await using sidecar = await start({ SHUTDOWN_SECONDS: '2' });
    using traffic = createTraffic(sidecar.port);
    disk.hang();
    await traffic.burst('while', 20);
    const began = performance.now();
    await sidecar.stop();
    // The pod's grace period, after which it would be killed anyway.
    expect(performance.now() - began).toBeLessThan(60_000);
  });
});
