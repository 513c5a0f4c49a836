import type { EdgeStore } from '@edge-migration/identity/edge/table/table.ts';
import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import { REPLAY_WAIT_POLL_MS } from '@edge-migration/runtime/policies.ts';
import { type GlobalTable, HELD } from '@edge-migration/test/cluster/global-table/global-table.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { TestProject } from '../../copy/worker/testing/project.ts';
import { openRegions } from './regions.ts';
import { copyIntoTwoRegions, HOME, OTHER, type TwoRegions } from './testing/two-regions.ts';
import { verify as verifyProject } from './testing/verification.ts';

const IDENTITIES = 60;
const signal = new AbortController().signal;

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
  global.region(OTHER).rejoin();
  global.setDelay({ minMs: 0, maxMs: 0 });
  await global.settle();
});

interface VerifySetup {
  lagMs?: number;
  regions?: readonly string[];
  retryBudgetMs?: number;
  clock?: Clock;
}

/** Compares the project in both regions. */
async function verify({
  lagMs = 100,
  regions: names = [OTHER],
  retryBudgetMs = 120_000,
  clock = systemClock,
}: VerifySetup = {}) {
  const settings = {
    ...project.tables.settings,
    dynamodbRegionEndpoints: { [OTHER]: global.region(OTHER).endpoint },
    maxReadUnitsPerSecond: 1_000_000,
  };
  const retryContext = { clock: systemClock, retryBudgetMs, signal };
  using regions = await openRegions(project.stores.edge, settings, names, retryContext);
  const { totals, samples } = await verifyProject(project, { regions: regions.tables, lagMs, clock });
  return { totals, found: samples.flatMap(({ regions }) => regions ?? []) };
}

/** Some documents, in the order of their keys. */
async function listDocuments() {
  const documents = await project.tables.scan();
  return documents.sort((one, other) => (one['composite_key']!.S! < other['composite_key']!.S! ? -1 : 1));
}

describe('a comparison of the regions of a global table', () => {
  test('finds nothing while they are equal, and does not compare the home region with itself', async () => {
    const { totals, found } = await verify({ regions: [HOME, OTHER] });
    expect(totals.found).toMatchObject({ regions: 0, missing: 0, extra: 0, differing: 0 });
    expect(totals.equal + totals.skipped).toBe(IDENTITIES);
    expect(found).toEqual([]);
    expect((await verify({ regions: [HOME] })).totals.readUnits).toBeLessThan(totals.readUnits);
  });

  test('finds nothing while a write takes no longer than replication may', async () => {
    const [document] = await listDocuments();
    global.setDelay(HELD);
    const { identities } = project.stores.edge;
    const alias = { dashboard_alias: { S: 'on its way' } };
    await identities.updateIfUnchanged(document!['composite_key']!.S!, { set: alias }, {});
    expect(global.pending).toBeGreaterThan(0);
    // It arrives while a comparison that has seen the difference waits, and that wait is over at once.
    const lagMs = 20_000;
    let ahead = 0;
    const clock: Clock = {
      now: () => systemClock.now() + ahead,
      monotonic: () => systemClock.monotonic() + ahead,
      async sleep(milliseconds, given) {
        if (milliseconds !== REPLAY_WAIT_POLL_MS || ahead > 0) return systemClock.sleep(milliseconds, given);
        global.setDelay({ minMs: 0, maxMs: 0 });
        await global.settle();
        ahead = lagMs;
      },
    };
    expect((await verify({ lagMs, clock })).totals.found.regions).toBe(0);
    expect(ahead).toBe(lagMs);
  });

  test('has its own kind of finding for lasting differences: missing, additional and other data', async () => {
    const [changed, removed] = await listDocuments();
    global.region(OTHER).isolate();
    const alias = { dashboard_alias: { S: 'only here' } };
    await there.identities.updateIfUnchanged(changed!['composite_key']!.S!, { set: alias }, {});
    await there.identities.deleteIfUnchanged((await there.identities.get(removed!['composite_key']!.S!))!);
    const { composite_key, identifier } = removed!;
    const more = { composite_key: { S: `${composite_key!.S}-more` }, identifier: { S: `${identifier!.S}-more` } };
    await there.identities.putIfUnchanged({ ...removed, ...more, django_id: { NULL: true } }, undefined);
    const row = {
      environment_id: { S: String(project.stores.project.environments[0]!.id) },
      document_key: { S: 'identity_override:9:x' },
    };
    await there.overrideRows?.putMany([row]);
    const { totals, found } = await verify();
    expect(totals.found).toMatchObject({ regions: 4, missing: 0, extra: 0, differing: 0, rows: 0 });
    expect(totals.equal + totals.skipped).toBe(IDENTITIES);
    expect(found.map(({ document = 'row' }) => document).sort()).toEqual(['differing', 'extra', 'missing', 'row']);
    expect(new Set(found.map(({ region }) => region))).toEqual(new Set([OTHER]));
  });

  test('fails if a region is unreachable, and the error names its endpoint', async () => {
    global.region(OTHER).goDark();
    try {
      await expect(verify({ retryBudgetMs: 500 })).rejects.toThrow(global.region(OTHER).endpoint);
    } finally {
      global.region(OTHER).comeBack();
    }
  });
});
