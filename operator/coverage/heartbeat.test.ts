import { rmSync, writeFileSync } from 'node:fs';
import type { CoverageReport } from '@edge-migration/contract/reports/coverage.ts';
import { coverageSubject, STREAM } from '@edge-migration/contract/streams/events.ts';
import {
  createHeartbeat,
  type Heartbeat,
  type HeartbeatOptions,
} from '@edge-migration/replay-sidecar/capture/heartbeat.ts';
import {
  administrate,
  createRig,
  makeStreams,
  type Rig,
  silent,
} from '@edge-migration/replay-sidecar/capture/publisher/testing.ts';
import { createSpool, type Spool } from '@edge-migration/replay-sidecar/capture/spool/spool.ts';
import { draft, type Folder, temporaryFolder } from '@edge-migration/replay-sidecar/capture/spool/testing.ts';
import { Usage } from '@edge-migration/replay-sidecar/capture/usage/usage.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { type Nats, startNats } from '@edge-migration/test/cluster/nats.ts';
import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { decideCoverage } from './decide.ts';
import { readReports } from './read.ts';

// Servers are killed and restarted, which takes a while on a busy machine.
vi.setConfig({ testTimeout: 600_000 });

let nats: Nats;
let folder: Folder;
let rig: Rig;
let heartbeat: Heartbeat;
let usage: Usage;
let stop: AbortController;
let running: Promise<unknown>;

beforeAll(async () => {
  nats = await startNats();
});
afterAll(() => nats?.stop());
beforeEach(async () => {
  await makeStreams(nats.url);
  folder = temporaryFolder();
  rig = await createRig(nats.url, folder.path);
  usage = new Usage(systemClock);
  heartbeat = heartbeatOf(rig.spool);
  stop = new AbortController();
  running = Promise.resolve();
});
afterEach(async () => {
  stop.abort();
  await running;
  await rig[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
  await administrate(nats.url, async (manager) => {
    for await (const name of manager.streams.names()) await manager.streams.delete(name);
  });
});

function heartbeatOf(spool: Spool, publisher: HeartbeatOptions['publisher'] = rig.publisher): Heartbeat {
  return createHeartbeat({
    sidecar: {
      instance: 'api-1/uid-1',
      podUid: 'uid-1',
      podName: 'api-1',
      namespace: 'flagsmith',
      node: 'node-1',
      release: '0.1.0',
    },
    publisher,
    spool,
    usage,
    clock: systemClock,
    logger: silent,
    intervalMs: 50,
  });
}

function beat(): void {
  running = heartbeat.run(stop.signal).catch((error: unknown) => error);
}

async function report(): Promise<CoverageReport | undefined> {
  const { reports } = await administrate(nats.url, readReports);
  return reports.at(-1)?.report;
}

const reported = (what: string, condition: (report: CoverageReport) => boolean) =>
  waitFor(
    async () => {
      const last = await report();
      return last !== undefined && condition(last) ? last : undefined;
    },
    { for: what },
  );

describe('the heartbeat', () => {
  it('proves the path to the stream by test events with increasing sequences', async () => {
    beat();
    const first = await reported('a proof', ({ probe }) => probe !== null);
    const later = await reported('another', ({ probe }) => probe!.sequence > first.probe!.sequence);
    expect(Date.parse(later.probe!.time)).toBeGreaterThanOrEqual(Date.parse(first.probe!.time));
    expect(later).toMatchObject({ podUid: 'uid-1', spoolDepth: 0, oldestUnsentTime: null, goodbye: false });
  });

  it('reports without a proof while the stream is missing, and with one once it exists', async () => {
    await administrate(nats.url, (manager) => manager.streams.delete(STREAM));
    await rig.write('user', 3);
    beat();
    const before = await reported('a report', () => true);
    expect(before).toMatchObject({ probe: null, spoolDepth: 3 });
    expect(before.oldestUnsentTime).toBe(before.allSentUntil);
    await makeStreams(nats.url);
    await reported('a proof', ({ probe, spoolDepth }) => probe !== null && spoolDepth === 0);
  });

  it('reports a gap when it begins and when it ends', async () => {
    beat();
    rig.spool.gaps.open('spoolFull', Date.now());
    await reported('an open gap', ({ gaps }) => gaps[0]?.until === null);
    rig.spool.gaps.close('spoolFull', Date.now());
    await reported('its end', ({ gaps }) => typeof gaps[0]?.until === 'string');
  });

  it('includes in its final report the counts of more environments than other reports have room for', async () => {
    await waitFor(() => rig.publisher.connected, { for: 'the connection' });
    for (let environmentId = 1; environmentId <= 8; environmentId += 1)
      usage.note({ environmentId }, 'flagsmith-js-sdk/9.3.1', 'write');
    expect(await heartbeat.sayGoodbye()).toBe(true);
    expect((await report())?.usage?.days[0]?.environments).toHaveLength(8);
  });

  it('publishes nothing after its final report, not even a pending report', async () => {
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    heartbeat = heartbeatOf(rig.spool, {
      connected: true,
      publish: (...message) => rig.publisher.publish(...message),
      async probe(...test) {
        const proof = await rig.publisher.probe(...test);
        asked.resolve();
        await answer.promise;
        return proof;
      },
    });
    await waitFor(() => rig.publisher.connected, { for: 'the connection' });
    beat();
    await asked.promise;
    const goodbye = heartbeat.sayGoodbye();
    answer.resolve();
    expect(await goodbye).toBe(true);
    stop.abort();
    await running;
    expect(await report()).toMatchObject({ goodbye: true });
  });

  it('publishes its final report only when everything has been sent', async () => {
    await waitFor(() => rig.publisher.connected, { for: 'the connection' });
    await administrate(nats.url, (manager) => manager.streams.delete(STREAM));
    await rig.write('user', 1);
    expect(await heartbeat.sayGoodbye()).toBe(false);
    expect(await report()).toMatchObject({ goodbye: false, spoolDepth: 1 });
    await makeStreams(nats.url);
    await rig.sent();
    expect(await heartbeat.sayGoodbye()).toBe(true);
    expect(await report()).toMatchObject({ goodbye: true, spoolDepth: 0 });
  });

  it('publishes no final report during a request, because that may still write', async () => {
    await waitFor(() => rig.publisher.connected, { for: 'the connection' });
    const intent = await rig.spool.begin([draft('user')]);
    expect(await heartbeat.sayGoodbye()).toBe(false);
    intent.finish({ outcome: 'known', drafts: [] });
    expect(await heartbeat.sayGoodbye()).toBe(true);
  });

  it('keeps the unsent events and gaps of the previous spool reported when it has an empty one', async () => {
    await administrate(nats.url, (manager) => manager.streams.delete(STREAM));
    rig.spool.gaps.mark('bodyTooLarge', Date.now() - 60_000, Date.now() - 60_000);
    await rig.write('lost', 3);
    beat();
    const before = await reported('what is unsent', ({ spoolDepth }) => spoolDepth === 3);
    stop.abort();
    await running;
    await rig[Symbol.asyncDispose]();
    using empty = temporaryFolder();
    await makeStreams(nats.url);
    rig = await createRig(nats.url, empty.path);
    stop = new AbortController();
    heartbeat = heartbeatOf(rig.spool);
    beat();
    const reports = await waitFor(
      async () => {
        const read = await administrate(nats.url, readReports);
        return read.reports.length === 2 && read.reports.at(-1)?.report.probe !== null && read.reports;
      },
      { for: 'both spools to be reported' },
    );
    const pods = [{ uid: 'uid-1', name: 'api-1', ready: true }];
    const { covered, gaps } = decideCoverage({ pods, reports, now: Date.now(), freshMs: 30_000 });
    expect(covered).toBe(true);
    const until = reports.at(-1)?.report.startedTime;
    expect(gaps).toMatchObject([
      { reason: 'bodyTooLarge' },
      { reason: 'sidecarVanished', from: before.allSentUntil, until },
    ]);
  });

  it('reports under the id of its spool once that is usable, and withdraws its earlier report', async () => {
    const directory = `${folder.path}/later`;
    writeFileSync(directory, 'not a directory yet');
    await rig[Symbol.asyncDispose]();
    rig = await createRig(nats.url, directory);
    heartbeat = heartbeatOf(rig.spool);
    beat();
    const before = await reported('a report without a spool', ({ probe }) => probe !== null);
    expect(before).toMatchObject({ allSentUntil: null, gaps: [{ reason: 'spoolFailing', until: null }] });
    expect(before.spoolId).toBeUndefined();
    rmSync(directory);
    await rig.spool.tick();
    await reported('a report with one', ({ spoolId, allSentUntil }) => spoolId !== undefined && allSentUntil !== null);
    const { reports } = await administrate(nats.url, readReports);
    expect(reports.map(({ report: { goodbye } }) => goodbye)).toEqual([true, false]);
  });

  it('publishes no final report before it has read what an earlier process left', async () => {
    await waitFor(() => rig.publisher.connected, { for: 'the connection' });
    const unread = createSpool({
      directory: folder.path,
      clock: systemClock,
      instance: 'api-1/uid-1',
      limitBytes: 1,
      safetyMs: 1,
      sync: 'none',
      onReady: () => undefined,
      onError: () => undefined,
    });
    expect(await heartbeatOf(unread).sayGoodbye()).toBe(false);
    expect(await report()).toMatchObject({ goodbye: false, allSentUntil: null });
  });
});

describe('reports', () => {
  it('are read in any number, and those that cannot be parsed are returned separately', async () => {
    await waitFor(() => rig.publisher.connected, { for: 'the connection' });
    const known = await heartbeat.sayGoodbye().then(() => report());
    for (let i = 0; i < 600; i++) {
      await rig.publisher.publish(
        coverageSubject(`pod-${i}`, known?.spoolId),
        JSON.stringify({ ...known, podUid: `pod-${i}` }),
      );
    }
    await rig.publisher.publish(coverageSubject('newer'), JSON.stringify({ version: 2 }));
    const { reports, unreadable } = await administrate(nats.url, readReports);
    expect(reports).toHaveLength(601);
    expect(unreadable).toHaveLength(1);
    expect(unreadable[0]?.message).toContain('coverage.newer');
  });

  it('are trusted only on their own subject, within limits, and with plausible times', async () => {
    await waitFor(() => rig.publisher.connected, { for: 'the connection' });
    const known = (await heartbeat.sayGoodbye().then(() => report()))!;
    const ahead = new Date(Date.now() + 25 * 60 * 60 * 1000).toISOString();
    const gap = { from: known.time, until: null, reason: 'spoolFull', scope: null };
    const forged: [subject: string, changes: object][] = [
      ['another', {}],
      ['uid-2', { podUid: 'uid-2', podName: 'x'.repeat(254) }],
      ['uid-3', { podUid: 'uid-3', node: 'a\u0000b' }],
      ['uid-4', { podUid: 'uid-4', time: ahead }],
      ['uid-5', { podUid: 'uid-5', allSentUntil: ahead }],
      ['uid-6', { podUid: 'uid-6', gaps: [{ ...gap, until: ahead }] }],
      ['uid-7', { podUid: 'uid-7', gaps: Array(257).fill(gap) }],
      ['uid-8', { podUid: 'uid-8', spoolDepth: -1 }],
      ['uid-9', { podUid: 'uid-9', gaps: [{ ...gap, scope: [{ projectId: 2 ** 31 }] }] }],
    ];
    for (const [subject, changes] of forged) {
      await rig.publisher.publish(coverageSubject(subject, known.spoolId), JSON.stringify({ ...known, ...changes }));
    }
    const { reports, unreadable } = await administrate(nats.url, readReports);
    expect(reports.map((stored) => stored.report.podUid)).toEqual(['uid-1']);
    expect(unreadable).toHaveLength(forged.length);
  });
});
