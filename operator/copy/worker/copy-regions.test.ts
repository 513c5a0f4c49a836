/** A copy into eventually consistent tables of two regions, with clients that write in the other region, too. */
import type { Item } from '@edge-migration/identity/edge/document/document.ts';
import { openEdge } from '@edge-migration/identity/edge/table/table.ts';
import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import { type GlobalTable, HELD, startGlobalTable } from '@edge-migration/test/cluster/global-table/global-table.ts';
import { regionalDynamodb } from '@edge-migration/test/cluster/shared.ts';
import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { traitsOf } from '@edge-migration/test/edge/traits.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRecheck } from './page-writer.ts';
import { countsOf, createTestProject, EQUAL, type TestProject } from './testing/project.ts';

const IDENTITIES = 40;
const HOUR_MS = 3_600_000;
const resources = new AsyncDisposableStack();
let global: GlobalTable;

beforeAll(async () => {
  global = resources.use(
    await startGlobalTable({ regions: ['eu-west-2', 'us-east-2'], server: await regionalDynamodb() }),
  );
});
afterAll(() => resources.disposeAsync());

const copy = (project: TestProject, replicationLagSeconds: number, clock: Clock = systemClock) =>
  project.copy({ clock, recheck: createRecheck(project.stores, { replicationLagSeconds }) });

/** A copy that waits for replication, before it checks what it wrote, until the test lets it go on. */
function copyUntilReplicated(project: TestProject) {
  const replicated = Promise.withResolvers<void>();
  let ahead = 0;
  const clock: Clock = {
    now: () => systemClock.now() + ahead,
    monotonic: () => systemClock.monotonic() + ahead,
    async sleep(milliseconds, signal) {
      if (milliseconds < HOUR_MS / 2) return systemClock.sleep(milliseconds, signal);
      await replicated.promise;
      ahead += milliseconds;
    },
  };
  return { copying: copy(project, HOUR_MS / 1000, clock), letGo: replicated.resolve };
}

/** Documents with the same keys, as Edge's client in the other region creates them before the copy's arrive there. */
async function createAbroad(project: TestProject, keys: readonly string[], attributes: Item = {}): Promise<void> {
  const { endpoint, region, credentials } = global.region('us-east-2');
  const edge = openEdge(
    { ...project.tables.settings, dynamodbEndpoint: endpoint, dynamodbRegion: region },
    { credentials },
  );
  for (const key of keys) {
    const { django_id: _, ...rest } = (await project.tables.get(key))!;
    const own = { M: { trait_key: { S: 'set-abroad' }, trait_value: { S: 'yes' } } };
    const item = { ...rest, django_id: { NULL: true }, identity_traits: { L: [own] }, ...attributes };
    expect(await edge.identities.putIfUnchanged(item, undefined)).toBe('written');
  }
  edge.close();
}

test('a copy writes again what later writes of another region have overtaken, before it finishes', async () => {
  await using project = await createTestProject({ dynamodb: global.region('eu-west-2'), identities: IDENTITIES });
  global.setDelay(HELD);
  const { copying, letGo } = copyUntilReplicated(project);
  await waitFor(async () => (await project.tables.scan()).length === IDENTITIES, { for: 'all to be copied' });
  const keys = (await project.tables.scan()).slice(0, 3).map((item) => item['composite_key']?.S ?? '');
  const before = await Promise.all(keys.map(async (key) => traitsOf((await project.tables.get(key))!)));
  await createAbroad(project, keys);
  global.setDelay({ minMs: 0, maxMs: 0 });
  await global.settle();
  expect(traitsOf((await project.tables.get(keys[0]!))!)).toEqual({ 'set-abroad': 'yes' });
  letGo();
  expect((await copying).finished).toBe(true);
  const after = await Promise.all(keys.map(async (key) => traitsOf((await project.tables.get(key))!)));
  expect(after).toEqual(before.map((traits) => ({ ...traits, 'set-abroad': 'yes' })));
});

test('a copy removes the rows of a document whose place one of an Edge client of another region has taken', async () => {
  await using project = await createTestProject({ dynamodb: global.region('eu-west-2'), identities: IDENTITIES });
  const rows = () => project.tables.scan(project.tables.settings.environmentsV2Table);
  global.setDelay(HELD);
  const { copying, letGo } = copyUntilReplicated(project);
  await waitFor(async () => (await project.tables.scan()).length === IDENTITIES, { for: 'all to be copied' });
  const [row] = await rows();
  const key = `${row?.['environment_api_key']?.S}_${row?.['identifier']?.S}`;
  const attributes = { identity_uuid: { S: '9b2cf0a6-3c5e-4d0f-8a4b-0c1d2e3f4a5b' }, identity_features: { L: [] } };
  await createAbroad(project, [key], attributes);
  global.setDelay({ minMs: 0, maxMs: 0 });
  await global.settle();
  expect(await project.tables.get(key)).toMatchObject(attributes);
  letGo();
  expect((await copying).finished).toBe(true);
  const left = (await rows()).filter((each) => each['identity_uuid']?.S === row?.['identity_uuid']?.S);
  expect(left).toEqual([]);
});

test('a copy that no other region has overtaken is only read, once, before it finishes', async () => {
  await using project = await createTestProject({ dynamodb: global.region('eu-west-2'), identities: IDENTITIES });
  const writes = global.history.length;
  expect(countsOf(await copy(project, 0.5))).toMatchObject({ inserted: IDENTITIES });
  const rows = (await project.tables.scan(project.tables.settings.environmentsV2Table)).length;
  expect(global.history).toHaveLength(writes + IDENTITIES + rows);
  const rechecks = project.proxy.calls.filter(({ operation }) => operation === 'BatchGetItem').length;
  // Nothing was written, so there is nothing to check.
  expect(countsOf(await copy(project, 60))).toMatchObject({ unchanged: IDENTITIES });
  expect(global.history).toHaveLength(writes + IDENTITIES + rows);
  expect(rechecks).toBeGreaterThan(0);
  expect(await project.compare()).toEqual(EQUAL);
});

test('a copy in a single region is not checked again', async () => {
  await using project = await createTestProject({ identities: 5 });
  expect(createRecheck(project.stores, { replicationLagSeconds: 60 })).toBeUndefined();
  expect((await copy(project, 60)).finished).toBe(true);
});
