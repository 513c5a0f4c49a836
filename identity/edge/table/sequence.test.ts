/** Documents and their rows on global tables with strong consistency, which refuse transactions. */

import { systemClock } from '@edge-migration/runtime/clock.ts';
import { type GlobalTable, startGlobalTable } from '@edge-migration/test/cluster/global-table/global-table.ts';
import { regionalDynamodb } from '@edge-migration/test/cluster/shared.ts';
import { createTables, type TestTables } from '@edge-migration/test/edge/tables.ts';
import { startDynamodbProxy } from '@edge-migration/test/faults/dynamodb-proxy.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { executeStep } from '../../convergence-step.ts';
import type { Item } from '../document/document.ts';
import { itemBytes } from '../document/size.ts';
import { overrideRows, sameOverrideRow } from '../override-rows.ts';
import { type EdgeStore, openEdge } from './table.ts';

const KEY = 'client-key_ada';
const ENVIRONMENT = 1;
const resources = new AsyncDisposableStack();
let global: GlobalTable;
let tables: TestTables;
let edge: EdgeStore;

beforeAll(async () => {
  const regions = ['eu-west-2', 'us-east-2'];
  const strong = { regions, consistency: 'STRONG', witness: 'us-west-2', server: await regionalDynamodb() } as const;
  global = resources.use(await startGlobalTable(strong));
  tables = resources.use(await createTables(global.region('eu-west-2')));
  edge = await open('eu-west-2');
});
afterAll(() => resources.disposeAsync());

beforeEach(async () => {
  const left = await edge.identities.get(KEY);
  if (left !== undefined) await write(undefined);
});

async function open(name: string, endpoint = global.region(name).endpoint, retryBudgetMs = 20_000) {
  const { region, credentials } = global.region(name);
  const settings = { ...tables.settings, dynamodbEndpoint: endpoint, dynamodbRegion: region };
  const opened = openEdge(settings, { credentials, retryBudgetMs });
  resources.defer(() => opened.close());
  await opened.describe();
  return opened;
}

const override = (id: number, enabled: boolean) => ({
  M: { feature: { M: { id: { N: String(id) } } }, enabled: { BOOL: enabled } },
});

/** Features by id, and whether they are on. */
const ada = (overrides: Readonly<Record<number, boolean>>): Item => ({
  composite_key: { S: KEY },
  environment_api_key: { S: 'client-key' },
  identifier: { S: 'ada' },
  identity_uuid: { S: '9b2cf0a6-3c5e-4d0f-8a4b-0c1d2e3f4a5b' },
  django_id: { N: '7' },
  identity_traits: { L: [] },
  identity_features: { L: Object.entries(overrides).map(([id, enabled]) => override(Number(id), enabled)) },
});

/** Brings the document to the wanted state, with its rows, as converging does. */
async function write(wanted: Item | undefined, by = edge) {
  const found = await by.identities.get(KEY);
  const change =
    wanted === undefined
      ? ({ kind: 'delete', expected: found! } as const)
      : ({ kind: 'put', item: wanted, expected: found } as const);
  const isEqual = found !== undefined && JSON.stringify(found) === JSON.stringify(wanted);
  const isThere = found !== undefined || wanted !== undefined;
  const step = { outcome: 'updated', after: wanted, ...(isThere && !isEqual && { write: change }) } as const;
  const touched = { traits: new Set<string>(), overrides: new Set(['1', '2', '3']) };
  return executeStep(by, found, step, { environmentId: ENVIRONMENT, syncRows: true, touched, clock: systemClock });
}

/** Rows that do not match the document, missing and left-over ones included. */
async function findWrongRows(): Promise<number> {
  const document = await edge.identities.get(KEY);
  const wanted = document === undefined ? [] : overrideRows(ENVIRONMENT, document, 0);
  const found = await tables.scan(tables.settings.environmentsV2Table);
  const isRight = (row: Item) => wanted.some((one) => sameOverrideRow(one, row));
  return (
    found.filter((row) => !isRight(row)).length +
    wanted.filter((one) => !found.some((row) => sameOverrideRow(one, row))).length
  );
}

test('rows are added, changed and removed with their document', async () => {
  expect(edge.guarantees()).toEqual({ transactions: false, final: true });
  for (const wanted of [ada({ 1: true, 2: true }), ada({ 2: false, 3: true }), ada({}), undefined]) {
    expect(await write(wanted)).toBe('written');
    expect(await findWrongRows()).toBe(0);
  }
});

describe('a process that is killed in the middle', () => {
  const BEFORE = ada({ 1: true, 2: true });

  test.each([
    ['an insert', undefined, BEFORE],
    ['a change', BEFORE, ada({ 2: false, 3: true })],
    ['a deletion', BEFORE, undefined],
  ])('a process killed at any request of %s leaves a state that the next one repairs', async (_, before, wanted) => {
    for (let at = 1; ; at++) {
      if ((await edge.identities.get(KEY)) !== undefined) await write(undefined);
      if (before !== undefined) await write(before);
      if (!(await writeUntil(at, wanted))) break;
      await write(wanted);
      expect(await findWrongRows(), `killed at write ${at}`).toBe(0);
    }
  });

  /** @returns false: it had fewer writes */
  async function writeUntil(at: number, wanted: Item | undefined): Promise<boolean> {
    await using proxy = await startDynamodbProxy(global.region('eu-west-2').endpoint);
    const dying = await open('eu-west-2', proxy.endpoint, 0);
    let count = 0;
    proxy.inject(({ operation }) =>
      /^(Put|Delete|Update|BatchWrite)/.test(operation) && ++count >= at ? { kind: 'reset' } : undefined,
    );
    await write(wanted, dying).catch(() => {});
    dying.close();
    return count >= at;
  }
});

test('a row that was put after its override had gone is removed by the next convergence', async () => {
  await write(ada({ 1: true }));
  const [row] = overrideRows(ENVIRONMENT, ada({ 1: true }), 0);
  await write(ada({}));
  await edge.overrideRows!.putMany([row!]);
  expect(await findWrongRows()).toBe(1);
  await write(ada({}));
  expect(await findWrongRows()).toBe(0);
});

test('a row that another process puts while the document is being deleted does not outlive it', async () => {
  const before = ada({ 1: true });
  await write(before);
  await using proxy = await startDynamodbProxy(global.region('eu-west-2').endpoint);
  const deleting = await open('eu-west-2', proxy.endpoint);
  const table = tables.settings.identitiesTable;
  proxy.inject(({ operation, body }) =>
    operation === 'DeleteItem' && body['TableName'] === table
      ? { kind: 'holdUp', until: edge.overrideRows!.putMany(overrideRows(ENVIRONMENT, before, 0)) }
      : undefined,
  );
  expect(await write(undefined, deleting)).toBe('written');
  expect(await findWrongRows()).toBe(0);
  proxy.inject(undefined);
});

test('of two regions that write at the same time, the one with a conflict sends its write again', async () => {
  const away = await open('us-east-2');
  global.setDelay({ minMs: 100, maxMs: 200 });
  const documents = Array.from({ length: 5 }, (_, index) => ({ ...ada({}), composite_key: { S: `key-${index}` } }));
  const insert = (by: EdgeStore) =>
    by.identities.insertMany(documents.map((item) => ({ item, bytes: itemBytes(item) })));
  const [home, abroad] = await Promise.all([insert(edge), insert(away)]);
  for (const index of documents.keys()) expect([home[index], abroad[index]].toSorted()).toEqual(['exists', 'inserted']);
  const set = (by: EdgeStore, name: string) =>
    by.identities.updateIfUnchanged('key-0', { set: { [name]: { BOOL: true } } }, {});
  expect(await Promise.all([set(edge, 'home'), set(away, 'away')])).toEqual(['written', 'written']);
  expect(await edge.identities.get('key-0')).toMatchObject({ home: { BOOL: true }, away: { BOOL: true } });
  global.setDelay({ minMs: 0, maxMs: 0 });
});
