import { afterEach, beforeEach, expect, it } from 'vitest';
import { drainSpool } from './drain.ts';
import {
  createTestSpool,
  draft,
  drain,
  type Folder,
  identifierOf,
  manualClock,
  openSpool,
  temporaryFolder,
  turn,
} from './spool/testing.ts';

let folder: Folder;
beforeEach(async () => {
  folder = temporaryFolder();
  await using earlier = await openSpool(folder.path);
  (await earlier.spool.begin([draft('left')])).finish({ outcome: 'known' });
});
afterEach(() => folder[Symbol.dispose]());

/** A process that is asked to stop before it has read what an earlier one left. */
function stopEarly(lastsMs: number) {
  const manual = manualClock();
  const clock = {
    ...manual,
    async sleep(milliseconds: number) {
      manual.advance(milliseconds);
      await turn();
    },
  };
  const opened = createTestSpool(folder.path, { clock: manual });
  let isDrained = false;
  const begin = () =>
    drainSpool(opened.spool, clock, clock.monotonic() + lastsMs).then(() => {
      isDrained = true;
    });
  return { ...opened, begin, isDrained: () => isDrained };
}

it('a sidecar that is stopped while it reads what an earlier process left sends that as well', async () => {
  const { spool, begin, isDrained } = stopEarly(1e9);
  await spool.open();
  const drained = begin();
  await turn();
  expect(isDrained()).toBe(false);
  await spool.recover();
  await turn();
  expect(isDrained()).toBe(false);
  expect((await drain(spool)).map(identifierOf)).toEqual(['left']);
  await drained;
  await spool.close();
});

it('a sidecar that is stopped waits no longer for what an earlier process left than it may', async () => {
  const { spool, begin } = stopEarly(1000);
  await spool.open();
  await begin();
  expect(spool.facts()).toMatchObject({ leftovers: 'reading', allSentUntil: undefined });
  await spool.close();
});

it('a sidecar that is stopped does not wait for a spool that could not be opened', async () => {
  const { spool, begin, isDrained } = stopEarly(1e9);
  const drained = begin();
  await turn();
  expect(isDrained()).toBe(true);
  await drained;
  expect(spool.facts()).toMatchObject({ leftovers: 'unknown', allSentUntil: undefined });
});
