/** The capture sidecar as a process, between real clients, the Core API fixture on Postgres, and NATS. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CoverageGap } from '@edge-migration/contract/reports/coverage.ts';
import { STREAM } from '@edge-migration/contract/streams/events.ts';
import { decideCoverage } from '@edge-migration/operator/coverage/decide.ts';
import { readReports } from '@edge-migration/operator/coverage/read.ts';
import {
  administrate,
  eventsIn,
  makeStreams,
  namesOf,
} from '@edge-migration/replay-sidecar/capture/publisher/testing.ts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { type Nats, startNats } from '../cluster/nats.ts';
import { createFolder, removeFolder } from '../cluster/reaper.ts';
import { waitFor } from '../cluster/wait.ts';
import { createFixture, type Fixture, SERVER_KEY } from '../core/api/testing/fixture.ts';
import { holdLock } from '../core/api/testing/lock.ts';
import { lastReport, type SidecarProcess, startSidecar } from './sidecar/process.ts';
import { createTraffic, type Traffic, type Write } from './sidecar/traffic.ts';

// Servers start, are killed and restart: no test depends on a fixed time, but a busy machine is slow.
vi.setConfig({ testTimeout: 600_000 });

let core: Fixture;
let nats: Nats;

beforeAll(async () => {
  core = await createFixture({ threads: 8 });
});
afterAll(() => core?.[Symbol.asyncDispose]());
beforeEach(async () => {
  await core.reset();
  nats = await startNats();
  await makeStreams(nats.url);
});
afterEach(() => nats?.stop());

const start = (settings: Record<string, string> = {}) =>
  startSidecar({ natsUrl: nats.url, upstreamPort: core.api.port, settings });

/** The sidecar's own report that the stream has everything. */
async function allSent(sidecar: SidecarProcess): Promise<void> {
  await waitFor(
    async () =>
      (await sidecar.metric('edge_migration_sidecar_connected')) === 1 &&
      (await sidecar.metric('edge_migration_sidecar_spool_events')) === 0 &&
      (await sidecar.metric('edge_migration_sidecar_open_requests')) === 0,
    { for: 'the sidecar to have sent everything', timeoutMs: 120_000 },
  );
}

/** Gaps reported by the sidecar from now on. */
async function reportedGaps(): Promise<CoverageGap[]> {
  const now = Date.now();
  return await waitFor(
    async () => {
      const report = await lastReport(nats.url);
      return report !== undefined && Date.parse(report.time) > now ? report.gaps : undefined;
    },
    { for: 'a new report' },
  );
}

/** Gaps caused by the sidecar: those for a disk that this machine kept busy for too long are legitimate. */
function avoidable(gaps: readonly CoverageGap[] | undefined): CoverageGap[] | undefined {
  return gaps?.filter(({ reason }) => reason !== 'spoolFailing');
}

function answered(traffic: Traffic): Write[] {
  return traffic.writes.filter(({ status }) => status !== undefined);
}

/** Writes that are neither in the stream nor in a gap. */
async function unaccounted(writes: readonly Write[], gaps: readonly CoverageGap[]): Promise<Write[]> {
  const names = new Set(namesOf(await eventsIn(nats.url)));
  return writes.filter(({ identifier, beganTime, endedTime }) => {
    const inGap = gaps.some(
      ({ from, until }) => Date.parse(from) <= endedTime && (until === null || beganTime <= Date.parse(until)),
    );
    return !names.has(identifier) && !inGap;
  });
}

describe('the sidecar', () => {
  it('turns a write into an event and proves that it covers its pod', async () => {
    await using sidecar = await start();
    using traffic = createTraffic(sidecar.port);
    await traffic.write('ann');
    await allSent(sidecar);
    const [event] = await eventsIn(nats.url);
    expect(event).toMatchObject({
      target: { kind: 'identity', environment: { clientKey: 'client-key' }, identifier: 'ann' },
      touched: { traits: ['plan'] },
      outcome: 'known',
      instance: 'api-1/uid-1',
    });
    expect(await sidecar.metric('edge_migration_sidecar_published_events_total')).toBe(1);
    const gaps = await reportedGaps();
    expect(avoidable(gaps)).toEqual([]);
    expect(await sidecar.metric('edge_migration_sidecar_gaps')).toBe(gaps.length);
    await waitFor(async () => (await lastReport(nats.url))?.probe, { for: 'a report with a proof' });
    const pods = [{ uid: 'uid-1', name: 'api-1', ready: true }];
    const isCovered = async () => {
      const { reports } = await administrate(nats.url, readReports);
      return decideCoverage({ pods, reports, now: Date.now(), freshMs: 10_000 }).covered;
    };
    await waitFor(isCovered, { for: 'its pod to be covered' });
  });

  it('keeps only the last test events in the stream, even if no applier consumes them', async () => {
    await using sidecar = await start();
    const first = await waitFor(async () => (await lastReport(nats.url))?.probe, { for: 'a first proof' });
    await waitFor(async () => ((await lastReport(nats.url))?.probe?.sequence ?? 0) > first.sequence + 5, {
      for: 'more proofs',
    });
    const { state } = await administrate(nats.url, (manager) => manager.streams.info(STREAM));
    expect(state.first_seq).toBeGreaterThan(first.sequence);
    expect(state.messages).toBeLessThan(5);
    expect(await sidecar.health('/livez')).toBe(200);
  });

  it('publishes nothing for reads of an identity whose stored traits show that it existed', async () => {
    await core.addIdentity('ann', { plan: 'gold' });
    await using sidecar = await start();
    using traffic = createTraffic(sidecar.port);
    for (let count = 0; count < 20; count++) expect(await traffic.read('ann')).toBe(200);
    await allSent(sidecar);
    expect(await sidecar.metric('edge_migration_sidecar_planned_requests_total')).toBe(20);
    expect(await sidecar.metric('edge_migration_sidecar_published_events_total')).toBe(0);
    expect(await traffic.read('bob')).toBe(200);
    await allSent(sidecar);
    expect(namesOf(await eventsIn(nats.url))).toEqual(['bob']);
  });

  it('serves a body beyond its limit, and reports a gap for that environment', async () => {
    await using sidecar = await start({ MAX_BODY_BYTES: '1000' });
    using traffic = createTraffic(sidecar.port);
    const large = await traffic.write('l'.repeat(1500));
    expect(large.status).toBe(200);
    expect(await core.identifiers()).toEqual([large.identifier]);
    const gaps = await reportedGaps();
    expect(avoidable(gaps)).toMatchObject([{ reason: 'bodyTooLarge', scope: [{ clientKey: 'client-key' }] }]);
    expect(await unaccounted(traffic.writes, gaps)).toEqual([]);
    await allSent(sidecar);
    expect(await eventsIn(nats.url)).toEqual([]);
  });

  it('writes a server key neither to its disk nor to NATS', async () => {
    await using sidecar = await start();
    using traffic = createTraffic(sidecar.port);
    const { status } = await traffic.write('ann', { 'X-Environment-Key': SERVER_KEY });
    expect(status).toBe(200);
    await allSent(sidecar);
    const files = readdirSync(sidecar.spoolDirectory).map((name) => readFileSync(join(sidecar.spoolDirectory, name)));
    const kept = [...files.map(String), JSON.stringify(await eventsIn(nats.url)), await sidecar.process.tail(1000)];
    expect(kept.join('\n')).toContain(createHash('sha256').update(SERVER_KEY).digest('hex'));
    expect(kept.join('\n')).not.toContain(SERVER_KEY);
  });

  it('finishes a request under way, sends everything and says goodbye on SIGTERM', async () => {
    await using sidecar = await start({ SHUTDOWN_SECONDS: '300' });
    using traffic = createTraffic(sidecar.port);
    await traffic.burst('before', 20);
    await using lock = await holdLock(core.databaseUrl, 7);
    const underWay = traffic.write('last', { 'X-Fixture-Fault': 'lock-after=7' });
    await waitFor(() => lock.isAwaited(), { for: 'the request to be committed and not answered' });
    const stopped = sidecar.stop();
    await waitFor(async () => (await sidecar.health('/readyz')) === 503, { for: 'the sidecar to be stopping' });
    await lock.release();
    expect((await underWay).status).toBe(200);
    expect(await stopped).toEqual({ code: 0, signal: null });
    expect(namesOf(await eventsIn(nats.url))).toContain('last');
    const report = await lastReport(nats.url);
    expect(report).toMatchObject({ goodbye: true, spoolDepth: 0 });
    expect(avoidable(report?.gaps)).toEqual([]);
  });

  it('sends the reads that it holds back before it says goodbye on SIGTERM', async () => {
    await using sidecar = await start({ READ_WINDOW_SECONDS: '3600' });
    using traffic = createTraffic(sidecar.port);
    for (const _ of [1, 2]) expect(await traffic.read('held')).toBe(200);
    await waitFor(async () => (await sidecar.metric('edge_migration_sidecar_published_events_total')) === 1, {
      for: 'the first read to be sent, and the second held back',
    });
    expect(await sidecar.stop()).toEqual({ code: 0, signal: null });
    expect(namesOf(await eventsIn(nats.url))).toEqual(['held', 'held']);
    expect(await lastReport(nats.url)).toMatchObject({ goodbye: true, spoolDepth: 0 });
  });

  it('stops in time without a goodbye when NATS is down, and its successor sends the rest', async () => {
    await using sidecar = await start({ SHUTDOWN_SECONDS: '1' });
    using traffic = createTraffic(sidecar.port);
    await nats.kill('SIGKILL');
    await traffic.burst('left', 20);
    expect(await sidecar.stop()).toEqual({ code: 0, signal: null });
    await nats.restart();
    expect((await lastReport(nats.url))?.goodbye ?? false).toBe(false);
    await sidecar.restart();
    await allSent(sidecar);
    expect(await unaccounted(traffic.writes, [])).toEqual([]);
    expect(avoidable(await reportedGaps())).toEqual([]);
  });
});

describe('the sidecar causes no API error and loses no write', () => {
  it('while NATS is down during a burst of writes', async () => {
    await using sidecar = await start();
    using traffic = createTraffic(sidecar.port);
    await traffic.burst('up', 100);
    await nats.kill('SIGKILL');
    await traffic.burst('down', 500);
    expect(await sidecar.health('/readyz')).toBe(200);
    await nats.restart();
    await traffic.burst('back', 100);
    await allSent(sidecar);
    expect(traffic.writes.filter(({ status }) => status !== 200)).toEqual([]);
    expect(await unaccounted(traffic.writes, [])).toEqual([]);
    expect(avoidable(await reportedGaps())).toEqual([]);
  });

  it('when it is killed during a burst: everything that Core committed has its event', async () => {
    await using sidecar = await start();
    using traffic = createTraffic(sidecar.port);
    for (const round of [1, 2, 3]) {
      const burst = traffic.burst(`round-${round}`, 200);
      await waitFor(() => answered(traffic).length > round * 60, { for: 'the burst to be under way' });
      await sidecar.restart();
      await burst;
    }
    await traffic.burst('after', 20);
    await allSent(sidecar);
    expect(await unaccounted(answered(traffic), [])).toEqual([]);
    const names = new Set(namesOf(await eventsIn(nats.url)));
    const committed = (await core.identifiers()) as string[];
    expect(committed.filter((identifier) => !names.has(identifier))).toEqual([]);
    expect(avoidable(await reportedGaps())).toEqual([]);
  });

  it('when the spool is full: everything missing lies in a reported gap', async () => {
    // Room for some of the writes on disk; the rest is in memory and lost with the process.
    await using sidecar = await start({ SPOOL_MAX_BYTES: '60000' });
    using traffic = createTraffic(sidecar.port);
    await traffic.burst('up', 20);
    await nats.kill('SIGKILL');
    await traffic.burst('down', 300);
    await sidecar.restart();
    await nats.restart();
    await allSent(sidecar);
    const gaps = await reportedGaps();
    expect(traffic.writes.filter(({ status }) => status !== 200)).toEqual([]);
    expect(avoidable(gaps)).toMatchObject([{ reason: 'spoolFull', scope: [{ clientKey: 'client-key' }] }]);
    expect(await unaccounted(traffic.writes, gaps)).toEqual([]);
    const lost = await unaccounted(traffic.writes, []);
    expect(lost.length).toBeGreaterThan(0);
    expect(lost.every(({ identifier }) => identifier.startsWith('down'))).toBe(true);
  });

  it('when NATS comes back without its data', async () => {
    await using sidecar = await start();
    using traffic = createTraffic(sidecar.port);
    await traffic.burst('before', 200);
    await allSent(sidecar);
    await administrate(nats.url, (manager) => manager.streams.delete(STREAM));
    await nats.kill('SIGKILL');
    await traffic.burst('while', 100);
    await nats.restart();
    await makeStreams(nats.url);
    await traffic.burst('after', 50);
    await waitFor(async () => (await unaccounted(traffic.writes, [])).length === 0, {
      for: 'all writes to be in the new stream',
      timeoutMs: 120_000,
    });
    expect(traffic.writes.filter(({ status }) => status !== 200)).toEqual([]);
    expect(avoidable(await reportedGaps())).toEqual([]);
  });

  it('when neither NATS nor the disk is available at the start', async () => {
    const folder = createFolder('no-spool');
    const notADirectory = `${folder}/file`;
    writeFileSync(notADirectory, '');
    await nats.kill('SIGKILL');
    await using sidecar = await start({ SPOOL_DIRECTORY: notADirectory });
    using traffic = createTraffic(sidecar.port);
    await traffic.burst('early', 50);
    expect(traffic.writes.filter(({ status }) => status !== 200)).toEqual([]);
    await nats.restart();
    // It does not say that everything is sent: what an earlier process may have left cannot be read.
    await waitFor(async () => (await unaccounted(traffic.writes, [])).length === 0, {
      for: 'all writes to be in the stream',
      timeoutMs: 120_000,
    });
    expect(await sidecar.metric('edge_migration_sidecar_spool_events')).toBeNaN();
    expect(await reportedGaps()).toMatchObject([{ reason: 'spoolFailing', until: null }]);
    await removeFolder(folder);
  });
});
