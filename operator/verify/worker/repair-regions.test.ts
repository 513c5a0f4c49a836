/** Repairs in eventually consistent tables of two regions, with clients that write in the other region, too. */
import type { Item } from '@edge-migration/identity/edge/document/document.ts';
import { recheckDelayOf } from '@edge-migration/identity/edge/replication-lag.ts';
import type { EdgeStore } from '@edge-migration/identity/edge/table/table.ts';
import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import { type GlobalTable, HELD } from '@edge-migration/test/cluster/global-table/global-table.ts';
import { traitsOf } from '@edge-migration/test/edge/traits.ts';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { createTestProject, type TestProject } from '../../copy/worker/testing/project.ts';
import { createMemoryRecord } from '../../job/memory-record.ts';
import { createCheckpointCipher, createCipherKey } from '../checkpoint-cipher.ts';
import { copyIntoTwoRegions, type TwoRegions } from './testing/two-regions.ts';
import { verify } from './testing/verification.ts';

vi.setConfig({ testTimeout: 60_000 });

const IDENTITIES = 40;
/** Only the wait for replication takes between half of this and all of it. */
const RECHECK_MS = 2_000;

let global: GlobalTable;
let project: TestProject;
/** Edge's clients in the other region. */
let there: EdgeStore;

let started: TwoRegions;

beforeAll(async () => {
  started = await copyIntoTwoRegions(IDENTITIES);
  ({ global, project, there } = started);
});
afterAll(() => started?.[Symbol.asyncDispose]());

beforeEach(async () => {
  global.setDelay({ minMs: 0, maxMs: 0 });
  await global.settle();
});

/** A document that lacks one of its traits, in both regions. */
async function damage(): Promise<{ key: string; traits: ReturnType<typeof traitsOf> }> {
  const documents = await project.tables.scan();
  const whole = documents.find((item) => (item['identity_traits']?.L?.length ?? 0) > 1)!;
  const lacking: Item = { ...whole, identity_traits: { L: whole['identity_traits']!.L!.slice(1) } };
  expect(await project.stores.edge.identities.putIfUnchanged(lacking, whole)).toBe('written');
  await global.settle();
  return { key: whole['composite_key']!.S!, traits: traitsOf(whole) };
}

/** What an Edge client of the other region writes on the older document replaces the repair, which has not arrived there. */
async function overtake(key: string): Promise<void> {
  await there.identities.updateIfUnchanged(key, { set: { dashboard_alias: { S: 'set abroad' } } }, {});
  global.setDelay({ minMs: 0, maxMs: 0 });
  await global.settle();
}

/** A clock that does something before the wait for replication, the first time. */
function clockBefore(act: () => Promise<unknown>): Clock {
  let isDone = false;
  return {
    ...systemClock,
    async sleep(milliseconds, signal) {
      if (!isDone && milliseconds > RECHECK_MS / 2 && milliseconds <= RECHECK_MS) {
        isDone = true;
        await act();
      }
      await systemClock.sleep(milliseconds, signal);
    },
  };
}

test('a repair that a later write of another region has overtaken is made again before it is counted', async () => {
  const { key, traits } = await damage();
  global.setDelay(HELD);
  let counted = -1;
  const { totals, samples } = await verify(project, {
    repair: 'Core',
    recheckMs: RECHECK_MS,
    onProgress: ({ totals: { repairs } }) => {
      counted = repairs;
    },
    clock: clockBefore(async () => {
      expect(traitsOf((await project.tables.get(key))!)).toEqual(traits);
      expect(counted).toBeLessThan(1);
      await overtake(key);
      expect(traitsOf((await project.tables.get(key))!)).not.toEqual(traits);
    }),
  });
  if (global.pending > 0) await overtake(key);
  expect(traitsOf((await project.tables.get(key))!)).toEqual(traits);
  expect(await project.tables.get(key)).toMatchObject({ dashboard_alias: { S: 'set abroad' } });
  expect(totals).toMatchObject({ differing: 1, equal: IDENTITIES - 1, repairs: 1, repaired: { differing: 1 } });
  expect(totals.coreChecksum).toBe(totals.edgeChecksum);
  expect(samples).toMatchObject([{ kinds: ['differing'], repaired: true, difference: { traits: { changed: [] } } }]);
  expect((await verify(project)).totals.found.differing).toBe(0);
});

test('a pod that takes over makes the overtaken repair of a killed one again, and counts it', async () => {
  const { key, traits } = await damage();
  global.setDelay(HELD);
  const record = createMemoryRecord();
  const shared = {
    record,
    seal: createCheckpointCipher(createCipherKey()),
    repair: 'Core',
    recheckMs: RECHECK_MS,
  } as const;
  const killed = new AbortController();
  const clock = clockBefore(async () => killed.abort(new Error('killed')));
  const first = verify(project, { ...shared, instance: 'first', clock }, killed.signal);
  await expect(first).rejects.toThrow('killed');
  expect(traitsOf((await project.tables.get(key))!)).toEqual(traits);
  await overtake(key);
  const { totals, samples } = await verify(project, { ...shared, instance: 'second', holdMs: RECHECK_MS });
  expect(traitsOf((await project.tables.get(key))!)).toEqual(traits);
  expect(totals).toMatchObject({ differing: 1, repairs: 1, repaired: { differing: 1 } });
  expect(samples).toMatchObject([{ kinds: ['differing'], repaired: true }]);
  expect(record.texts()).not.toHaveProperty('repairing');
});

test('a repair in a single region is not compared again later', async () => {
  await using single = await createTestProject({ identities: 5 });
  expect(recheckDelayOf(single.stores.edge, { replicationLagSeconds: 60 })).toBeUndefined();
  expect(recheckDelayOf(project.stores.edge, { replicationLagSeconds: 60 })).toBe(120_000);
  const recheckMs = recheckDelayOf(single.stores.edge, { replicationLagSeconds: 60 });
  const { totals } = await verify(single, { repair: 'Core', recheckMs });
  expect(totals).toMatchObject({ missing: 5, repairs: 5 });
});
