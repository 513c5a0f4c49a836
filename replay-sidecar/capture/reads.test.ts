import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { createReads, type Reads } from './reads.ts';
import {
  draft,
  drain,
  eventOf,
  type Folder,
  identifierOf,
  openSpool,
  type TestSpool,
  temporaryFolder,
} from './spool/testing.ts';

const windowMs = 10_000;

let folder: Folder;
let test: TestSpool;
let reads: Reads;

beforeEach(async () => {
  folder = temporaryFolder();
  test = await openSpool(folder.path);
  reads = createReads({ begin: test.spool.begin, clock: test.clock, windowMs, capacity: 2 });
});

afterEach(async () => {
  await test[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

async function begin(identifier: string) {
  const read = reads.one();
  await read.begin([draft(identifier, [])]);
  return read;
}

async function published() {
  await test.spool.tick();
  await new Promise((resolve) => setImmediate(resolve));
  return drain(test.spool);
}

describe('createReads', () => {
  it('publishes each read of identities beyond its capacity at once', async () => {
    for (const identifier of ['a', 'b', 'c', 'c', 'a', 'c']) (await begin(identifier)).finish(undefined, 'known');
    expect((await published()).map(identifierOf)).toEqual(['a', 'b', 'c', 'c', 'c']);
    reads.flush();
    expect((await published()).map(identifierOf)).toEqual(['a']);
  });

  it('holds back no more than it has memory for, however long the names are', async () => {
    const long = ['x', 'y', 'z'].map((name) => name.repeat(1000));
    const heldBytes = 2 * 5000;
    reads = createReads({ begin: test.spool.begin, clock: test.clock, windowMs, heldBytes });
    const readAll = async () => {
      for (const identifier of long) (await begin(identifier)).finish(undefined, 'known');
      return (await published()).map(identifierOf);
    };
    expect(await readAll()).toEqual(long);
    expect(await readAll(), 'in the window of the first').toEqual([long[2]]);
    expect(test.spool.facts().open).toBe(2);
    test.clock.advance(windowMs);
    reads.tick();
    expect((await published()).map(identifierOf)).toEqual(long.slice(0, 2));
    test.clock.advance(windowMs - 1);
    expect(await readAll(), 'in their next window').toEqual([long[2]]);
  });

  it('has room again for identities that are no longer read', async () => {
    for (const identifier of ['a', 'b']) (await begin(identifier)).finish(undefined, 'known');
    test.clock.advance(windowMs);
    reads.tick();
    for (const identifier of ['c', 'c']) (await begin(identifier)).finish(undefined, 'known');
    expect((await published()).map(identifierOf)).toEqual(['a', 'b', 'c']);
  });

  it('does not wait for the last of reads that never stop overlapping', async () => {
    let under = await begin('a');
    const times: string[] = [];
    for (let second = 0; second < 60; second++) {
      const next = await begin('a');
      under.finish(undefined, 'known');
      under = next;
      test.clock.advance(1000);
      reads.tick();
      for (const delivery of await published()) times.push(eventOf(delivery).observedTime);
      expect(test.spool.facts().open).toBe(1);
    }
    // At once, and then at the end of each of six windows.
    expect(times).toHaveLength(7);
    under.finish([], 'known');
  });

  it('dates a read by its own beginning, even when another read of the identity was published meanwhile', async () => {
    const [first, second] = [await begin('a'), await begin('a')];
    test.clock.advance(1000);
    first.finish(undefined, 'known');
    await published();
    expect(test.spool.facts().allSentUntil).toBe(test.clock.now() - 1000);
    second.finish(undefined, 'known');
    test.clock.advance(windowMs);
    reads.tick();
    const [event] = (await published()).map(eventOf);
    expect(event?.beganTime).toBe('2026-06-01T00:00:00.000Z');
  });

  it('keeps what one read changed although another one changed nothing', async () => {
    (await begin('a')).finish(undefined, 'known');
    (await begin('a')).finish(undefined, 'known');
    (await begin('a')).finish([], 'known');
    await published();
    test.clock.advance(windowMs);
    reads.tick();
    expect((await published()).map(identifierOf)).toEqual(['a']);
    expect(test.spool.facts().open).toBe(0);
  });

  it('notes down nothing for a read that cannot create anything', async () => {
    const read = reads.one();
    expect(read.begin([])).toBeUndefined();
    read.finish([], 'known');
    expect(await published()).toEqual([]);
  });
});
