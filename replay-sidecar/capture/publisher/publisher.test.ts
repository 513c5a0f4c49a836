import { cpSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { coverageSubject, probeSubject, STREAM } from '@edge-migration/contract/streams/events.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { type Nats, startNats } from '@edge-migration/test/cluster/nats.ts';
import { SIDECAR_API_PREFIX, startNatsWithAccounts } from '@edge-migration/test/cluster/nats-accounts.ts';
import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Folder, type ManualClock, manualClock, temporaryFolder } from '../spool/testing.ts';
import { administrate, createRig, eventsIn, makeStreams, namesOf, type Rig } from './testing.ts';

// Servers are killed and restarted, which takes a while on a busy machine.
vi.setConfig({ testTimeout: 600_000 });

const distinct = (names: readonly string[]) => [...new Set(names)].sort();

let folder: Folder;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder[Symbol.dispose]());

describe('the publisher', () => {
  let nats: Nats;
  beforeAll(async () => {
    nats = await startNats();
  });
  afterAll(() => nats.stop());
  beforeEach(() => makeStreams(nats.url));
  afterEach(() => administrate(nats.url, (manager) => manager.streams.delete(STREAM)));

  it('puts every event into the stream, once, under its id', async () => {
    await using rig = await createRig(nats.url, folder.path, { answerTimeoutMs: 120_000 });
    const names = await rig.write('user', 3000);
    await rig.sent();
    expect(namesOf(await eventsIn(nats.url))).toEqual(names.sort());
    expect(rig.publisher.counts).toMatchObject({ published: 3000, failed: {} });
  });

  it('waits for a stream that is missing', async () => {
    await administrate(nats.url, (manager) => manager.streams.delete(STREAM));
    await using rig = await createRig(nats.url, folder.path);
    await rig.write('user', 10);
    await waitFor(() => (rig.publisher.counts.failed['NoStreamError'] ?? 0) > 0, { for: 'a refusal' });
    expect(rig.spool.facts().depth).toBe(10);
    await makeStreams(nats.url);
    await rig.sent();
    expect(distinct(namesOf(await eventsIn(nats.url)))).toHaveLength(10);
  });

  it('waits for a stream that is full, and drops nothing', async () => {
    await administrate(nats.url, (manager) => manager.streams.update(STREAM, { max_msgs: 5 }));
    await using rig = await createRig(nats.url, folder.path);
    await rig.write('user', 10);
    await waitFor(() => (rig.publisher.counts.failed['StreamRefusedError'] ?? 0) > 0, { for: 'a refusal' });
    await waitFor(() => rig.spool.facts().depth === 5, { for: 'five events to be stored' });
    await administrate(nats.url, (manager) => manager.streams.update(STREAM, { max_msgs: 100 }));
    await rig.sent();
    expect(namesOf(await eventsIn(nats.url))).toHaveLength(10);
  });

  it('publishes everything again when the stream was created again', async () => {
    await using rig = await createRig(nats.url, folder.path);
    await rig.write('before', 20);
    await rig.sent();
    await administrate(nats.url, (manager) => manager.streams.delete(STREAM));
    await rig.write('while', 5);
    await makeStreams(nats.url);
    await waitFor(async () => namesOf(await eventsIn(nats.url)).length >= 25, {
      for: 'all events to be in the new stream',
    });
    expect(distinct(namesOf(await eventsIn(nats.url)))).toHaveLength(25);
    expect(rig.spool.gaps.list()).toEqual([]);
  });
});

describe('the publisher, when NATS', () => {
  /** Its data is in the test's own folder. */
  async function startWithData(more = ''): Promise<{ nats: Nats; data: string }> {
    const data = join(folder.path, 'jetstream');
    const nats = await startNats({ config: `jetstream { store_dir: ${JSON.stringify(data)} }\n${more}` });
    return { nats, data };
  }
  /** Brings it back with the data that was copied earlier. */
  async function restore({ nats, data }: { nats: Nats; data: string }): Promise<void> {
    rmSync(data, { recursive: true });
    cpSync(`${data}-earlier`, data, { recursive: true });
    await nats.restart();
  }
  const spoolFolder = () => join(folder.path, 'spool');

  it('is down at the start, keeps events waiting and sends them when it is up', async () => {
    const { nats } = await startWithData();
    await using _ = nats;
    await makeStreams(nats.url);
    await nats.kill('SIGKILL');
    await using rig = await createRig(nats.url, spoolFolder());
    await rig.write('user', 10);
    expect(rig.publisher.connected).toBe(false);
    await nats.restart();
    await rig.sent();
    expect(namesOf(await eventsIn(nats.url))).toHaveLength(10);
  });

  it('is killed and comes back, publishes everything again and the stream keeps one of each', async () => {
    const { nats } = await startWithData();
    await using _ = nats;
    await makeStreams(nats.url);
    await using rig = await createRig(nats.url, spoolFolder());
    await rig.write('before', 200);
    await rig.sent();
    await nats.kill('SIGKILL');
    await rig.write('while', 200);
    const rewinds = rig.publisher.counts.rewinds;
    await nats.restart();
    await rig.sent();
    await waitFor(() => rig.publisher.counts.rewinds > rewinds, { for: 'a rewind' });
    await rig.sent();
    expect(namesOf(await eventsIn(nats.url))).toHaveLength(400);
  });

  it('recognises duplicates, sees no loss in that, and the spool drops them after one repetition', async () => {
    const { nats } = await startWithData();
    await using _ = nats;
    await makeStreams(nats.url);
    const folder = spoolFolder();
    await using rig = await createRig(nats.url, folder, { spool: { safetyMs: 1000, segmentMs: 1 } });
    await rig.write('user', 20);
    await rig.sent();
    const [first = ''] = readdirSync(folder).filter((name) => name.endsWith('.spool'));
    await nats.kill('SIGTERM');
    await nats.restart();
    const hasLeft = async () => {
      await rig.write('later', 1);
      await rig.spool.tick();
      return !readdirSync(folder).includes(first);
    };
    await waitFor(hasLeft, { for: 'the first events to leave the spool' });
    expect(rig.publisher.counts.rewinds).toBe(1);
  });

  it('lost its last minutes, restores them from the spool', async () => {
    const { nats, data } = await startWithData();
    await using _ = nats;
    await makeStreams(nats.url);
    await using rig = await createRig(nats.url, spoolFolder());
    await rig.write('kept', 50);
    await rig.sent();
    cpSync(data, `${data}-earlier`, { recursive: true });
    await rig.write('lost', 50);
    await rig.sent();
    await nats.kill('SIGKILL');
    await restore({ nats, data });
    await waitFor(async () => distinct(namesOf(await eventsIn(nats.url))).length === 100, {
      for: 'all events to be in the stream again',
    });
    expect(rig.spool.gaps.list()).toEqual([]);
  });

  it('was away for longer than the safety time, still has in the spool what NATS lost at its end', async () => {
    const { nats, data } = await startWithData();
    await using _ = nats;
    await makeStreams(nats.url);
    const clock = manualClock();
    await using rig = await createRig(nats.url, spoolFolder(), { spool: { clock, segmentMs: 1000 } });
    await rig.write('kept', 50);
    await rig.sent();
    cpSync(data, `${data}-earlier`, { recursive: true });
    await rig.write('lost', 50);
    await rig.sent();
    await nats.kill('SIGKILL');
    await waitFor(() => !rig.publisher.connected, { for: 'the disconnection to be noticed' });
    for (let minute = 0; minute < 60; minute++) {
      clock.advance(60_000);
      await rig.spool.tick();
    }
    await restore({ nats, data });
    await waitFor(async () => distinct(namesOf(await eventsIn(nats.url))).length === 100, {
      for: 'all events to be in the stream again',
    });
    expect(rig.spool.gaps.list()).toEqual([]);
  });

  describe('lost acknowledged events that the spool no longer has', () => {
    /** NATS with its data from before the writes, which were acknowledged and which the spool has dropped. */
    async function loseSettled(
      rig: Rig,
      clock: ManualClock,
      { nats, data }: Awaited<ReturnType<typeof startWithData>>,
    ) {
      cpSync(data, `${data}-earlier`, { recursive: true });
      await rig.write('lost', 20);
      await rig.sent();
      for (let answers = 0; answers < 40; answers++) {
        clock.advance(5000);
        await rig.publisher.probe(probeSubject('uid-1'), '{}', {});
        await rig.spool.tick();
      }
      expect(rig.spool.facts().bytes).toBe(0);
      await nats.kill('SIGKILL');
    }
    const options = (clock: ManualClock) => ({ spool: { clock, segmentMs: 1000 } });

    it('reports that time as a gap, although nothing was written since', async () => {
      const started = await startWithData();
      await using _ = started.nats;
      await makeStreams(started.nats.url);
      const clock = manualClock();
      await using rig = await createRig(started.nats.url, spoolFolder(), options(clock));
      await loseSettled(rig, clock, started);
      await restore(started);
      await waitFor(() => rig.spool.gaps.list().length > 0, { for: 'the loss to be noticed' });
      expect(rig.spool.gaps.list()).toMatchObject([{ reason: 'streamLost' }]);
    });

    it('reports that time as a gap, although the sidecar was down as well', async () => {
      const started = await startWithData();
      await using _ = started.nats;
      await makeStreams(started.nats.url);
      const clock = manualClock();
      {
        await using rig = await createRig(started.nats.url, spoolFolder(), options(clock));
        await loseSettled(rig, clock, started);
      }
      await restore(started);
      await using rig = await createRig(started.nats.url, spoolFolder(), options(clock));
      await waitFor(() => rig.publisher.connected, { for: 'the connection' });
      expect(rig.spool.gaps.list()).toMatchObject([{ reason: 'streamLost' }]);
    });
  });

  it('hangs, loses nothing and holds nothing up', async () => {
    const { nats } = await startWithData();
    await using _ = nats;
    await makeStreams(nats.url);
    await using rig = await createRig(nats.url, spoolFolder(), { answerTimeoutMs: 300 });
    await rig.write('before', 10);
    await rig.sent();
    await nats.kill('SIGSTOP');
    await rig.write('while', 100);
    await waitFor(() => (rig.publisher.counts.failed['NoAnswerError'] ?? 0) > 0, { for: 'answers to stay away' });
    await nats.kill('SIGCONT');
    await rig.sent();
    expect(distinct(namesOf(await eventsIn(nats.url)))).toHaveLength(110);
  });

  it('lets the sidecar only publish and inspect the stream, needs no more than that', async () => {
    await using nats = await startNatsWithAccounts();
    await makeStreams(nats.url);
    const logger = createLogger('test', 'silent');
    const warn = vi.spyOn(logger, 'warn');
    await using rig = await createRig(nats.urlOf('sidecar'), spoolFolder(), {
      ...{ apiPrefix: SIDECAR_API_PREFIX, logger },
      answerTimeoutMs: 120_000,
    });
    await rig.write('user', 10);
    await rig.sent();
    await rig.publisher.probe(probeSubject('uid-1'), '{}', { 'Nats-TTL': ['60s'] });
    await rig.publisher.publish(coverageSubject('uid-1'), '{}');
    expect(rig.publisher.counts.failed).toEqual({});
    // Such as that the stream cannot be inspected.
    expect(warn).not.toHaveBeenCalled();
  });

  it('refuses the password, takes the new one from its file', async () => {
    const password = join(folder.path, 'password');
    writeFileSync(password, 'outdated\n');
    const { nats } = await startWithData('authorization { user: sidecar, password: current }');
    await using _ = nats;
    await using rig = await createRig(nats.url, spoolFolder(), {
      nats: { natsUser: 'sidecar', natsPasswordFile: password },
    });
    await makeStreams(nats.url, { user: 'sidecar', pass: 'current' });
    await rig.write('user', 1);
    expect(rig.publisher.connected).toBe(false);
    writeFileSync(password, 'current\n');
    await rig.sent();
    expect(rig.publisher.connected).toBe(true);
  });
});
