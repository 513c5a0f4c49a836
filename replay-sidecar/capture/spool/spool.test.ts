import { chmodSync, readdirSync, statSync } from 'node:fs';

import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { OutboxEvent } from './outbox.ts';
import { draft, drain, eventOf, type Folder, identifierOf, openSpool, temporaryFolder, turn } from './testing.ts';

const MIB = 1024 * 1024;

let folder: Folder;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder[Symbol.dispose]());

const segments = (path = folder.path) => readdirSync(path).filter((name) => name !== 'state');

describe('the spool', () => {
  it('hands out the events of a finished request with outcome, time and instance', async () => {
    await using opened = await openSpool(folder.path);
    const { spool, clock } = opened;
    const intent = await spool.begin([draft('ann')]);
    clock.advance(15);
    intent.finish({ outcome: 'known' });
    const [delivery] = await drain(spool);
    expect(eventOf(delivery!)).toEqual({
      version: 1,
      id: delivery!.id,
      instance: 'api-1/uid-1',
      ...draft('ann'),
      outcome: 'known',
      beganTime: '2026-06-01T00:00:00.000Z',
      observedTime: '2026-06-01T00:00:00.015Z',
    });
  });

  it('hands out what the request actually touched, and nothing when it changed nothing', async () => {
    await using opened = await openSpool(folder.path);
    const { spool } = opened;
    const changed = await spool.begin([draft('ann'), draft('bob')]);
    const unchanged = await spool.begin([draft('cid')]);
    changed.finish({ outcome: 'background', drafts: [draft('dan')] });
    unchanged.finish({ outcome: 'known', drafts: [] });
    expect((await drain(spool)).map(identifierOf)).toEqual(['dan']);
    expect(spool.facts()).toMatchObject({ open: 0, depth: 0, oldestUnsentTime: undefined });
  });

  it('counts only the first end of a request', async () => {
    await using opened = await openSpool(folder.path);
    const intent = await opened.spool.begin([draft('ann')]);
    intent.finish({ outcome: 'unknown' });
    intent.finish({ outcome: 'known' });
    expect((await drain(opened.spool)).map((one) => eventOf(one).outcome)).toEqual(['unknown']);
  });

  it('has an intent on disk before it lets the request go on', async () => {
    await using opened = await openSpool(folder.path);
    await opened.spool.begin([draft('ann')]);
    using copy = temporaryFolder(folder.path);
    await using after = await openSpool(copy.path);
    const [delivery] = await drain(after.spool);
    expect(eventOf(delivery!)).toMatchObject({ outcome: 'unknown', target: { identifier: 'ann' } });
  });

  it('dates an unfinished intent by its recovery, because the API may have committed at any moment before', async () => {
    await using opened = await openSpool(folder.path);
    await opened.spool.begin([draft('ann')]);
    using copy = temporaryFolder(folder.path);
    opened.clock.advance(90_000);
    await using after = await openSpool(copy.path, { clock: opened.clock });
    expect(eventOf((await drain(after.spool))[0]!).observedTime).toBe('2026-06-01T00:01:30.000Z');
  });

  it('says when an unfinished request began, however late it is recovered', async () => {
    await using opened = await openSpool(folder.path);
    await opened.spool.begin([draft('ann')]);
    using copy = temporaryFolder(folder.path);
    opened.clock.advance(90_000);
    await using after = await openSpool(copy.path, { clock: opened.clock });
    expect(eventOf((await drain(after.spool))[0]!).beganTime).toBe('2026-06-01T00:00:00.000Z');
  });

  it('reports since when something is unsent: by the beginning of the request, finished or not', async () => {
    await using opened = await openSpool(folder.path);
    const { spool, clock } = opened;
    const start = clock.now();
    const intent = await spool.begin([draft('ann')]);
    clock.advance(1000);
    expect(spool.facts()).toMatchObject({ open: 1, oldestUnsentTime: start, allSentUntil: start });
    intent.finish({ outcome: 'known' });
    clock.advance(1000);
    expect(spool.facts()).toMatchObject({ depth: 1, oldestUnsentTime: start, allSentUntil: start });
    await drain(spool);
    expect(spool.facts()).toMatchObject({ depth: 0, oldestUnsentTime: undefined, allSentUntil: clock.now() });
  });

  it('keeps a backlog on disk, not in memory, and hands it out in order and once', async () => {
    await using opened = await openSpool(folder.path);
    const { spool } = opened;
    const names = Array.from({ length: 500 }, (_, index) => `user-${index}`);
    for (const name of names) (await spool.begin([draft(name)])).finish({ outcome: 'known' });
    expect(spool.facts().depth).toBe(500);
    expect((await drain(spool)).map(identifierOf)).toEqual(names);
  });

  it('splits what one request touches into records of bounded size', async () => {
    await using opened = await openSpool(folder.path);
    const names = Array.from({ length: 2000 }, (_, index) => `user-${index}-${'x'.repeat(200)}`);
    const intent = await opened.spool.begin(names.map((name) => draft(name)));
    using copy = temporaryFolder(folder.path);
    intent.finish({ outcome: 'known' });
    expect((await drain(opened.spool)).map(identifierOf)).toEqual(names);
    await using after = await openSpool(copy.path);
    expect((await drain(after.spool)).map(identifierOf)).toEqual(names);
  });

  it('releases at once the intent of a request that changed nothing, among others that changed something', async () => {
    await using opened = await openSpool(folder.path, { limitBytes: 2 * MIB, segmentBytes: 512 * 1024 });
    const { spool } = opened;
    const large = Array.from({ length: 20 }, (_, index) => draft(`user-${index}-${'x'.repeat(50_000)}`));
    for (let round = 0; round < 20; round++) {
      (await spool.begin(large)).finish({ outcome: 'known', drafts: [] });
      (await spool.begin([draft(`kept-${round}`)])).finish({ outcome: 'known' });
      await spool.tick();
      expect(segments().length).toBeLessThanOrEqual(3);
    }
    expect(spool.gaps.list()).toEqual([]);
    expect((await drain(spool)).map(identifierOf)).toEqual(Array.from({ length: 20 }, (_, round) => `kept-${round}`));
  });

  it('releases such an intent without waiting for its housekeeping', async () => {
    await using opened = await openSpool(folder.path, { limitBytes: 2 * MIB, segmentBytes: 512 * 1024 });
    const { spool } = opened;
    const large = Array.from({ length: 20 }, (_, index) => draft(`user-${index}-${'x'.repeat(50_000)}`));
    for (let round = 0; round < 5; round++) {
      (await spool.begin(large)).finish({ outcome: 'known', drafts: [] });
      await waitFor(() => segments().length <= 3, { for: 'the segments to go' });
    }
    expect(spool.gaps.list()).toEqual([]);
  });

  it('brings back neither what changed nothing nor what was published after a restart', async () => {
    await using opened = await openSpool(folder.path, { segmentBytes: 400 });
    const { spool } = opened;
    const slow = await spool.begin([draft('slow')]);
    for (let i = 0; i < 10; i++) (await spool.begin([draft(`silent-${i}`)])).finish({ outcome: 'known', drafts: [] });
    (await spool.begin([draft('ann')])).finish({ outcome: 'known' });
    await spool.tick();
    using copy = temporaryFolder(folder.path);
    slow.finish({ outcome: 'known' });
    await using after = await openSpool(copy.path);
    const events = (await drain(after.spool)).map((one) => `${identifierOf(one)} ${eventOf(one).outcome}`);
    expect(events.sort()).toEqual(['ann known', 'slow unknown']);
  });

  it('leaves room for others when one environment writes more than its share, and the gap names that one', async () => {
    await using opened = await openSpool(folder.path, { limitBytes: 64 * 1024, memoryCharacters: MIB });
    const { spool } = opened;
    const of = (clientKey: string) => ({
      ...draft('ann'),
      target: { kind: 'identity' as const, environment: { clientKey }, identifier: 'ann' },
    });
    for (let i = 0; i < 1000; i++) (await spool.begin([of('greedy')])).finish({ outcome: 'known' });
    for (const key of ['modest', 'frugal']) {
      for (let i = 0; i < 5; i++) (await spool.begin([of(key)])).finish({ outcome: 'known' });
    }
    expect(spool.gaps.list()).toMatchObject([{ reason: 'spoolFull', scope: [{ clientKey: 'greedy' }] }]);
    using copy = temporaryFolder(folder.path);
    await spool.tick();
    await using after = await openSpool(copy.path);
    const keys = (await drain(after.spool)).map((one) => JSON.parse(one.json).target.environment.clientKey);
    expect(keys.filter((key) => key !== 'greedy')).toHaveLength(10);
  });

  it('hides its content from other users of the machine', async () => {
    const path = `${folder.path}/made`;
    await using opened = await openSpool(path);
    (await opened.spool.begin([draft('ann')])).finish({ outcome: 'known' });
    await opened.spool.tick();
    expect(statSync(path).mode & 0o777).toBe(0o700);
    const modes = readdirSync(path).map((name) => statSync(`${path}/${name}`).mode & 0o777);
    expect(modes).toEqual([0o600, 0o600, 0o600]);
  });

  it('closes files that an earlier release left open to others', async () => {
    const path = `${folder.path}/old`;
    {
      await using _ = await openSpool(path);
    }
    chmodSync(path, 0o755);
    chmodSync(`${path}/state`, 0o644);
    await using _ = await openSpool(path);
    expect([path, `${path}/state`].map((name) => statSync(name).mode & 0o777)).toEqual([0o700, 0o600]);
  });

  it('refuses an event beyond 64 KB, notes the gap and accepts the others', async () => {
    await using opened = await openSpool(folder.path);
    const intent = await opened.spool.begin([draft('x'.repeat(70_000)), draft('ann')]);
    intent.finish({ outcome: 'known' });
    expect((await drain(opened.spool)).map(identifierOf)).toEqual(['ann']);
    expect(opened.spool.gaps.list()).toMatchObject([{ reason: 'eventTooLarge', scope: [{ clientKey: 'env' }] }]);
  });
});

describe('the spool before the acknowledgement', () => {
  it('keeps events on disk, however long it takes', async () => {
    await using opened = await openSpool(folder.path);
    const { spool, clock } = opened;
    (await spool.begin([draft('ann')])).finish({ outcome: 'known' });
    expect(identifierOf(spool.outbox.next()!)).toBe('ann');
    for (let hour = 0; hour < 24; hour++) {
      clock.advance(3_600_000);
      await spool.tick();
    }
    expect(segments()).toHaveLength(1);
    spool.outbox.rewind();
    expect((await drain(spool)).map(identifierOf)).toEqual(['ann']);
  });

  it('starts from the beginning on a rewind even while the disk is being read', async () => {
    await using opened = await openSpool(folder.path);
    const { spool } = opened;
    const names = Array.from({ length: 300 }, (_, index) => `user-${index}`);
    for (const name of names) (await spool.begin([draft(name)])).finish({ outcome: 'known' });
    for (let rewinds = 0; rewinds < 20; rewinds++) {
      // Each hands out the events in memory and begins to read the others.
      while (spool.outbox.next() !== undefined);
      await turn();
      spool.outbox.rewind();
    }
    expect((await drain(spool)).map(identifierOf)).toEqual(names);
  });
});

describe('the spool after the acknowledgement', () => {
  it('keeps events on disk for the safety time, then removes their segments', async () => {
    await using opened = await openSpool(folder.path);
    const { spool, clock } = opened;
    (await spool.begin([draft('ann')])).finish({ outcome: 'known' });
    clock.advance(30_000);
    await spool.tick();
    await drain(spool);
    opened.elapse(59_999);
    await spool.tick();
    expect(segments()).toHaveLength(1);
    opened.elapse(1);
    await spool.tick();
    expect(segments()).toHaveLength(0);
    expect(spool.facts().bytes).toBe(0);
  });

  it('keeps a segment with a request under way and removes others', async () => {
    await using opened = await openSpool(folder.path);
    const { spool, clock } = opened;
    const slow = await spool.begin([draft('slow')]);
    for (let i = 0; i < 50; i++) (await spool.begin([draft(`user-${i}`)])).finish({ outcome: 'known' });
    clock.advance(30_000);
    await spool.tick();
    await drain(spool);
    opened.elapse(60_000);
    await spool.tick();
    expect(segments()).toHaveLength(1);
    slow.finish({ outcome: 'known' });
    expect((await drain(spool)).map(identifierOf)).toEqual(['slow']);
  });

  it('hands out everything within the safety time again on a rewind', async () => {
    await using opened = await openSpool(folder.path);
    const { spool } = opened;
    const names = Array.from({ length: 40 }, (_, index) => `user-${index}`);
    for (const name of names) (await spool.begin([draft(name)])).finish({ outcome: 'known' });
    const first = await drain(spool);
    opened.elapse(59_000);
    await spool.tick();
    spool.outbox.rewind();
    const second = await drain(spool);
    expect(second.map((one) => one.id)).toEqual(first.map((one) => one.id));
  });

  it('ignores an acknowledgement from before a rewind', async () => {
    await using opened = await openSpool(folder.path);
    const { spool } = opened;
    (await spool.begin([draft('ann')])).finish({ outcome: 'known' });
    const before = spool.outbox.next() as OutboxEvent;
    spool.outbox.rewind();
    spool.outbox.acknowledge(before, 7);
    expect(spool.facts().depth).toBe(1);
    expect(await drain(spool)).toHaveLength(1);
  });

  it('keeps events on disk while the stream is silent, however long', async () => {
    await using opened = await openSpool(folder.path);
    const { spool, clock } = opened;
    (await spool.begin([draft('ann')])).finish({ outcome: 'known' });
    await drain(spool);
    opened.elapse(59_000);
    spool.observeDoubt();
    for (let hour = 0; hour < 24; hour++) {
      clock.advance(3_600_000);
      await spool.tick();
    }
    expect(segments()).toHaveLength(1);
    // The first answer after the doubt says nothing about the time before it.
    opened.elapse(999);
    await spool.tick();
    expect(segments()).toHaveLength(1);
    opened.elapse(1);
    await spool.tick();
    expect(segments()).toHaveLength(0);
  });

  it('keeps events on disk when the process was frozen: an answer after hours does not vouch for the hours', async () => {
    await using opened = await openSpool(folder.path);
    const { spool, clock } = opened;
    (await spool.begin([draft('ann')])).finish({ outcome: 'known' });
    await drain(spool);
    opened.elapse(10_000);
    clock.advance(3_600_000);
    spool.observeAnswer();
    await spool.tick();
    expect(segments()).toHaveLength(1);
  });
});
