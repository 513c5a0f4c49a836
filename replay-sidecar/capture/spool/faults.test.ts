import { pbkdf2 } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { draft, drain, type Folder, identifierOf, manualClock, openSpool, temporaryFolder, turn } from './testing.ts';

let folder: Folder;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder[Symbol.dispose]());

const segments = (path = folder.path) => readdirSync(path).filter((name) => name !== 'state');

describe('a stream', () => {
  async function settle(opened: Awaited<ReturnType<typeof openSpool>>): Promise<void> {
    (await opened.spool.begin([draft('ann')])).finish({ outcome: 'known' });
    await drain(opened.spool, 100);
    opened.clock.advance(30_000);
    await opened.spool.tick();
    opened.elapse(60_000);
    await opened.spool.tick();
    expect(segments()).toHaveLength(0);
  }

  it('that was created again leaves a gap over what only the old one had', async () => {
    await using opened = await openSpool(folder.path);
    opened.spool.observeStream('2026-01-01T00:00:00Z');
    await settle(opened);
    opened.spool.observeStream('2026-06-01T00:02:00Z');
    expect(opened.spool.gaps.list()).toEqual([
      { reason: 'streamLost', from: '2026-06-01T00:00:00.000Z', until: '2026-06-01T00:00:00.000Z', scope: null },
    ]);
  });

  it('that was created again leaves no gap when the spool still has everything', async () => {
    await using opened = await openSpool(folder.path);
    opened.spool.observeStream('2026-01-01T00:00:00Z');
    (await opened.spool.begin([draft('ann')])).finish({ outcome: 'known' });
    await drain(opened.spool);
    opened.spool.observeStream('2026-06-01T00:02:00Z');
    expect(opened.spool.gaps.list()).toEqual([]);
  });

  it('that lost its tail leaves a gap only when the loss includes what the spool no longer has', async () => {
    await using opened = await openSpool(folder.path);
    opened.spool.observeStream('2026-01-01T00:00:00Z');
    await settle(opened);
    opened.spool.observeLoss(101);
    expect(opened.spool.gaps.list()).toEqual([]);
    opened.spool.observeLoss(100);
    expect(opened.spool.gaps.list()).toMatchObject([{ reason: 'streamLost' }]);
  });

  it('is recognised by the next process', async () => {
    {
      await using opened = await openSpool(folder.path);
      opened.spool.observeStream('2026-01-01T00:00:00Z');
      await settle(opened);
    }
    await using opened = await openSpool(folder.path);
    opened.spool.observeStream('2026-06-01T00:02:00Z');
    expect(opened.spool.gaps.list()).toMatchObject([{ reason: 'streamLost' }]);
  });
});

describe('a disk', () => {
  it('that is full stops no request: events go on from memory, and the gap names the time and the environments', async () => {
    await using opened = await openSpool(folder.path, { limitBytes: 1000 });
    const { spool, clock } = opened;
    while (spool.facts().bytes < 1000) (await spool.begin([draft('ann')])).finish({ outcome: 'known' });
    clock.advance(5000);
    (await spool.begin([draft('bob')])).finish({ outcome: 'known' });
    expect(spool.gaps.list()).toEqual([
      {
        reason: 'spoolFull',
        from: '2026-06-01T00:00:05.000Z',
        until: null,
        scope: [{ clientKey: 'env' }],
      },
    ]);
    expect((await drain(spool)).map(identifierOf)).toContain('bob');
  });

  it('that is full is no longer written to, and memory use is limited', async () => {
    await using opened = await openSpool(folder.path, { limitBytes: 1000 });
    const { spool } = opened;
    while (spool.facts().bytes < 1000) (await spool.begin([draft('early')])).finish({ outcome: 'known' });
    const { bytes } = spool.facts();
    for (let i = 0; i < 100; i++) (await spool.begin([draft(`late-${i}`)])).finish({ outcome: 'known' });
    expect(spool.facts().bytes).toBe(bytes);
    const names = (await drain(spool)).map(identifierOf);
    expect(names).toContain('late-0');
    expect(names).not.toContain('late-99');
    expect(spool.gaps.list()).toMatchObject([{ reason: 'spoolFull', until: null, scope: [{ clientKey: 'env' }] }]);
  });

  it('that has room again ends the gap', async () => {
    await using opened = await openSpool(folder.path, { limitBytes: 1000 });
    const { spool, clock } = opened;
    while (spool.facts().bytes < 1000) (await spool.begin([draft('ann')])).finish({ outcome: 'known' });
    (await spool.begin([draft('bob')])).finish({ outcome: 'known' });
    clock.advance(30_000);
    await spool.tick();
    expect(spool.gaps.list()).toMatchObject([{ reason: 'spoolFull', until: '2026-06-01T00:00:30.000Z' }]);
  });

  it('that is not usable at the start is retried, and serves once it is', async () => {
    const path = join(folder.path, 'spool');
    writeFileSync(path, 'not a directory');
    await using opened = await openSpool(path);
    const { spool, clock, errors } = opened;
    expect(errors).toHaveLength(1);
    (await spool.begin([draft('ann')])).finish({ outcome: 'known' });
    expect(spool.facts().allSentUntil).toBeUndefined();
    rmSync(path);
    clock.advance(4000);
    await spool.tick();
    expect(spool.gaps.list()).toMatchObject([
      { reason: 'spoolFailing', from: '2026-06-01T00:00:00.000Z', until: '2026-06-01T00:00:04.000Z' },
    ]);
    (await spool.begin([draft('bob')])).finish({ outcome: 'known' });
    expect(segments(path)).toHaveLength(1);
    expect((await drain(spool)).map(identifierOf)).toEqual(['ann', 'bob']);
  });

  it('that fails while in use opens a gap and recovers by itself', async () => {
    await using opened = await openSpool(folder.path, { segmentBytes: 1 });
    const { spool, clock } = opened;
    (await spool.begin([draft('ann')])).finish({ outcome: 'known' });
    renameSync(folder.path, `${folder.path}-gone`);
    const unkept = await spool.begin([draft('bob')]);
    unkept.finish({ outcome: 'known' });
    expect(spool.gaps.list()).toMatchObject([{ reason: 'spoolFailing', until: null }]);
    rmSync(`${folder.path}-gone`, { recursive: true });
    mkdirSync(folder.path);
    clock.advance(1000);
    (await spool.begin([draft('cid')])).finish({ outcome: 'known' });
    expect(spool.gaps.list()).toMatchObject([{ reason: 'spoolFailing', until: '2026-06-01T00:00:01.000Z' }]);
    expect((await drain(spool)).map(identifierOf)).toEqual(['ann', 'bob', 'cid']);
    clock.advance(30_000);
    await spool.tick();
    opened.elapse(60_000);
    await spool.tick();
    expect(spool.facts().bytes).toBe(0);
  });

  it('that failed is written to again a second later, even when the clock was set back by an hour', async () => {
    await using opened = await openSpool(folder.path, { segmentBytes: 1 });
    const { spool, clock } = opened;
    renameSync(folder.path, `${folder.path}-gone`);
    await spool.begin([draft('ann')]);
    rmSync(`${folder.path}-gone`, { recursive: true });
    mkdirSync(folder.path);
    clock.step(-3_600_000);
    clock.advance(1000);
    await spool.begin([draft('bob')]);
    expect(segments(folder.path)).toHaveLength(1);
  });

  it('that hangs holds up no request', async () => {
    await using opened = await openSpool(folder.path, { writeTimeoutMs: 20, sync: 'interval' });
    const { spool } = opened;
    (await spool.begin([draft('ann')])).finish({ outcome: 'known' });
    // Node has four threads for files; while all of them are busy no file access gets done, as on a disk that hangs.
    const busy = Array.from({ length: 4 }, () => promisify(pbkdf2)('a', 'b', 200_000, 64, 'sha512'));
    const housekeeping = spool.tick();
    for (let turns = 0; turns < 5; turns++) await turn();
    const intent = await spool.begin([draft('bob')]);
    expect(spool.gaps.list()).toMatchObject([{ reason: 'spoolFailing', until: null }]);
    const second = await spool.begin([draft('cid')]);
    await Promise.all([housekeeping, ...busy]);
    while (spool.gaps.list()[0]?.until === null) await turn();
    intent.finish({ outcome: 'known' });
    second.finish({ outcome: 'known' });
    expect((await drain(spool)).map(identifierOf)).toEqual(['ann', 'bob', 'cid']);
  });

  it('that was written before the node went down may have lost the end, so that time is a gap', async () => {
    {
      await using opened = await openSpool(folder.path, { bootId: 'first' });
      await opened.spool.begin([draft('ann')]);
    }
    {
      await using opened = await openSpool(folder.path, { bootId: 'first', sync: 'interval' });
      expect(opened.spool.gaps.list()).toEqual([]);
    }
    await using opened = await openSpool(folder.path, { bootId: 'second', sync: 'interval' });
    expect(opened.spool.gaps.list()).toMatchObject([{ reason: 'spoolLost', from: '2026-05-31T23:59:55.000Z' }]);
  });

  it('that kept only the state when the node went down may have lost everything since the process began', async () => {
    {
      await using _ = await openSpool(folder.path, { bootId: 'first', sync: 'interval' });
    }
    const clock = manualClock(Date.parse('2026-06-01T01:00:00Z'));
    await using opened = await openSpool(folder.path, { bootId: 'second', sync: 'interval', clock });
    expect(opened.spool.gaps.list()).toMatchObject([
      { reason: 'spoolLost', from: '2026-06-01T00:00:00.000Z', until: '2026-06-01T01:00:00.000Z' },
    ]);
  });

  it('that kept segments but not the state when the node went down may have lost their end', async () => {
    {
      await using opened = await openSpool(folder.path, { bootId: 'first', sync: 'interval' });
      await opened.spool.begin([draft('ann')]);
    }
    rmSync(join(folder.path, 'state'));
    await using opened = await openSpool(folder.path, { bootId: 'second', sync: 'interval' });
    expect(opened.spool.gaps.list()).toMatchObject([{ reason: 'spoolLost', from: '2026-05-31T23:59:55.000Z' }]);
  });

  it('that is forced on every write loses nothing when the node goes down', async () => {
    {
      await using opened = await openSpool(folder.path, { bootId: 'first', sync: 'commit' });
      await opened.spool.begin([draft('ann')]);
    }
    await using opened = await openSpool(folder.path, { bootId: 'second', sync: 'commit' });
    expect(opened.spool.gaps.list()).toEqual([]);
    expect((await drain(opened.spool)).map(identifierOf)).toEqual(['ann']);
  });
});
