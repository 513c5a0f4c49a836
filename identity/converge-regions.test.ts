/** Override rows on tables of two regions: each item is replicated by itself, in any order. */

import { systemClock } from '@edge-migration/runtime/clock.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { type GlobalTable, startGlobalTable } from '@edge-migration/test/cluster/global-table/global-table.ts';
import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { startDynamodbProxy } from '@edge-migration/test/faults/dynamodb-proxy.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { converge } from './converge.ts';
import type { Item } from './edge/document/document.ts';
import type { Touched } from './edge/merge.ts';
import { openOtherRegions } from './edge/other-regions.ts';
import { overrideRows } from './edge/override-rows.ts';
import { findTouchedRows } from './edge/row-agreement.ts';
import { keyOf } from './edge/table/override-rows.ts';
import { type EdgeStore, openEdge } from './edge/table/table.ts';
import { execute, insertRows } from './fixtures/core-rows.ts';
import { createStores, type TestStores } from './testing/stores.ts';

const KEY = 'client-key_ada';
const ALL: Touched = { traits: 'all', overrides: 'all' };
const HOUR_MS = 3_600_000;
const resources = new AsyncDisposableStack();
let global: GlobalTable;
let on: TestStores;
let away: EdgeStore;
/** Whether what is written from now on is under way for an hour. */
let isSlow = false;
/** The same of the next items, one by one. */
const slowOnes: boolean[] = [];

beforeAll(async () => {
  const random = () => Number(slowOnes.shift() ?? isSlow);
  global = resources.use(await startGlobalTable({ regions: ['eu-west-2', 'us-east-2'], heapMb: 128, random }));
  global.setDelay({ minMs: 0, maxMs: HOUR_MS });
  on = resources.use(await createStores(global.region('eu-west-2')));
  const { endpoint, region, credentials } = global.region('us-east-2');
  const settings = { ...on.tables.settings, dynamodbEndpoint: endpoint, dynamodbRegion: region };
  away = openEdge(settings, { credentials });
  resources.defer(() => away.close());
  await insertRows(on.databaseUrl, { features_feature: [{ id: 5, name: 'banner' }] });
});
afterAll(() => resources.disposeAsync());

beforeEach(async () => {
  isSlow = false;
  await global.settle();
  await deleteFromCore();
  const { edge } = on.stores;
  const left = await edge.identities.get(KEY);
  if (left !== undefined) await edge.identities.deleteIfUnchanged(left);
  for (const row of await on.tables.scan(on.tables.settings.environmentsV2Table))
    await edge.overrideRows!.delete(keyOf(row));
  await global.settle();
});

const deleteFromCore = () =>
  execute(on.databaseUrl, 'DELETE FROM features_featurestate; DELETE FROM environments_identity');
const putInCore = (id: number) =>
  insertRows(on.databaseUrl, { environments_identity: [{ id, identifier: 'ada', environment_id: 1 }] });
const run = (touched: Touched = ALL) =>
  converge(on.stores, { environment: on.environment, identifier: 'ada' }, touched, new AbortController().signal);
const overrideOf = (feature: number): Item[string] => ({
  M: { feature: { M: { id: { N: String(feature) }, name: { S: 'banner' } } }, enabled: { BOOL: true } },
});

async function rowsOf(edge: EdgeStore): Promise<(string | undefined)[]> {
  const { entries } = await edge.overrideRows!.listRows({ environmentId: 1, from: undefined, limit: 100 });
  return entries.map((row) => row['document_key']?.S);
}

const featuresAtHome = async () => (await on.stores.edge.identities.get(KEY))?.['identity_features']?.L;

async function slowly(work: () => Promise<unknown>): Promise<void> {
  isSlow = true;
  await work();
  isSlow = false;
}

/** What Edge's client does there to the document, and to its rows. */
async function setAbroad(features: readonly number[]) {
  const document = (await away.identities.get(KEY))!;
  const set = { identity_features: { L: features.map(overrideOf) } };
  const rows = overrideRows(1, { ...document, ...set }, Date.now());
  return {
    document: async () => expect(await away.identities.updateIfUnchanged(KEY, { set }, {})).toBe('written'),
    rows: async () => {
      await away.overrideRows!.putMany(rows);
      const names = new Set(rows.map((row) => row['document_key']?.S));
      const { entries } = await away.overrideRows!.listRows({ environmentId: 1, from: undefined, limit: 100 });
      for (const row of entries) if (!names.has(row['document_key']?.S)) await away.overrideRows!.delete(keyOf(row));
    },
  };
}

/** What a comparison finds once the region answers: a busy one may take longer than a comparison waits for it. */
const reached = <T extends string>(compare: () => Promise<T>) =>
  waitFor(async () => compare().then((found) => found !== 'unreachable' && found), { for: 'the region to answer' });

describe('a row that is replicated apart from its document', () => {
  test('is waited for in another region before that region agrees', async () => {
    const { endpoint, region, credentials } = global.region('us-east-2');
    const settings = {
      ...on.tables.settings,
      ...{ dynamodbOtherRegions: [region], dynamodbRegionEndpoints: { [region]: endpoint } },
    };
    const stop = new AbortController();
    const logger = createLogger('test', 'silent');
    const options = { clock: systemClock, logger, signal: stop.signal, credentials };
    const regions = openOtherRegions(on.stores.edge, settings, options);
    onTestFinished(() => {
      stop.abort();
      regions.close();
    });
    await putInCore(7);
    await insertRows(on.databaseUrl, { features_featurestate: [{ id: 31, identity_id: 7, feature_id: 5 }] });
    const touched: Touched = { traits: new Set(), overrides: new Set(['5']) };
    slowOnes.push(false, true);
    const { document, core } = await run(touched);
    await expect.poll(() => away.identities.get(KEY)).toBeDefined();
    const owner = { apiKey: 'client-key', identifier: 'ada' };
    const rows = findTouchedRows(1, owner, { document, core }, touched);
    const compare = () => regions.compare(owner, KEY, { region: 'eu-west-2', document, core, rows }, touched);
    expect(await rowsOf(away)).toEqual([]);
    expect(await reached(compare)).toBe('differs');
    await global.settle();
    expect(await reached(compare)).toBe('same');
  });

  test('that may not be read holds up nothing that touched no override, and is reported once', async () => {
    const { endpoint, region, credentials } = global.region('us-east-2');
    await using proxy = await startDynamodbProxy(endpoint);
    const rowsTable = on.tables.settings.environmentsV2Table;
    proxy.inject(({ body }) =>
      JSON.stringify(body).includes(rowsTable)
        ? { kind: 'answer', status: 400, type: 'AccessDeniedException' }
        : undefined,
    );
    const settings = {
      ...on.tables.settings,
      ...{ dynamodbOtherRegions: [region], dynamodbRegionEndpoints: { [region]: proxy.endpoint } },
    };
    const stop = new AbortController();
    const logger = createLogger('test', 'silent');
    const [warn, info] = [vi.spyOn(logger, 'warn'), vi.spyOn(logger, 'info')];
    const options = { clock: systemClock, logger, signal: stop.signal, credentials };
    const regions = openOtherRegions(on.stores.edge, settings, options);
    onTestFinished(() => {
      stop.abort();
      regions.close();
    });
    await putInCore(7);
    await insertRows(on.databaseUrl, { features_featurestate: [{ id: 31, identity_id: 7, feature_id: 5 }] });
    const { document, core } = await run();
    await global.settle();
    const owner = { apiKey: 'client-key', identifier: 'ada' };
    const here = { region: 'eu-west-2', document, core };
    const rows = findTouchedRows(1, owner, here, ALL);
    for (let attempt = 0; attempt < 3; attempt++)
      expect(await regions.compare(owner, KEY, { ...here, rows }, ALL)).toBe('unreachable');
    expect([warn.mock.calls.length, info.mock.calls.length]).toEqual([1, 0]);
    expect(await regions.isResting('eu-west-2')).toBe(false);
    const compareTraits = () => regions.compare(owner, KEY, here, { ...ALL, overrides: new Set() });
    expect(await reached(compareTraits)).toBe('same');
  });

  test('does not stay when the identity was deleted before it arrived', async () => {
    await putInCore(7);
    await run();
    await global.settle();
    const client = await setAbroad([6]);
    await client.document();
    await slowly(client.rows);
    await expect.poll(featuresAtHome).toHaveLength(1);
    await deleteFromCore();
    expect(await run()).toMatchObject({ outcome: 'deleted' });
    await global.settle();
    expect(await run()).toMatchObject({ outcome: 'absent' });
    expect(await rowsOf(on.stores.edge)).toEqual([]);
    expect(await rowsOf(away)).toEqual([]);
  });

  test('is not put again when an Edge client of another region removes it, and its removal arrives first', async () => {
    await putInCore(7);
    await run();
    await global.settle();
    const setting = await setAbroad([6]);
    await setting.document();
    await setting.rows();
    await expect.poll(() => rowsOf(on.stores.edge)).toHaveLength(1);
    const removing = await setAbroad([]);
    await slowly(removing.document);
    await removing.rows();
    await expect.poll(() => rowsOf(on.stores.edge)).toEqual([]);
    expect(await featuresAtHome()).toHaveLength(1);
    expect(await run({ traits: new Set(), overrides: new Set(['5']) })).toMatchObject({ outcome: 'unchanged' });
    await global.settle();
    expect(await featuresAtHome()).toEqual([]);
    expect(await rowsOf(on.stores.edge)).toEqual([]);
    expect(await rowsOf(away)).toEqual([]);
  });
});
