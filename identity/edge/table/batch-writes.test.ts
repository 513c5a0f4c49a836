import { randomUUID } from 'node:crypto';
import { dynamodb } from '@edge-migration/test/cluster/shared.ts';
import { createTables, type DynamodbAccess, type TestTables } from '@edge-migration/test/edge/tables.ts';
import { type DynamodbProxy, startDynamodbProxy } from '@edge-migration/test/faults/dynamodb-proxy.ts';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type EdgeStore, type Item, openEdge, type SharedWrite } from './table.ts';
import type { DocumentWrite } from './writes.ts';

let access: DynamodbAccess;
let tables: TestTables;
let proxy: DynamodbProxy;
let edge: EdgeStore;

beforeAll(async () => {
  access = await dynamodb();
  tables = await createTables(access);
  proxy = await startDynamodbProxy(access.endpoint);
  edge = openEdge({ ...tables.settings, dynamodbEndpoint: proxy.endpoint }, { credentials: access.credentials });
});

afterEach(() => proxy.inject(undefined));

afterAll(async () => {
  edge.close();
  await proxy.stop();
  await tables.drop();
});

const TRAITS = { L: [{ M: { trait_key: { S: "it's" }, trait_value: { NULL: true } } }, { M: { n: { N: '10.0' } } }] };

function createItem(attributes: Item = {}): Item {
  const identifier = randomUUID();
  return {
    composite_key: { S: `key_${identifier}` },
    environment_api_key: { S: 'key' },
    identifier: { S: identifier },
    identity_uuid: { S: randomUUID() },
    django_id: { N: '7' },
    identity_traits: TRAITS,
    identity_features: { L: [] },
    ...attributes,
  };
}

const keyOf = (item: Item) => item['composite_key']?.S ?? '';
const insert = (item: Item): DocumentWrite => ({ kind: 'put', item, expected: undefined });
const NEW_TRAITS = { L: [{ M: { trait_key: { S: 'plan' }, trait_value: { S: 'gold' } } }] };
/** Sets the traits of a document that is still as it was read. */
const update = (item: Item, expected: Record<string, Item[string] | undefined> = {}): DocumentWrite => ({
  kind: 'update',
  key: keyOf(item),
  set: { identity_traits: NEW_TRAITS },
  expected: { django_id: item['django_id'], identity_traits: item['identity_traits'], ...expected },
});
const write = (...writes: DocumentWrite[]) =>
  edge.identities.writeMany(writes.map((one): SharedWrite => ({ write: one, signal: undefined })));

async function store(...items: Item[]): Promise<Item[]> {
  for (const item of items) expect(await edge.identities.putIfUnchanged(item, undefined)).toBe('written');
  return items;
}

const traitsOf = async (item: Item) => (await edge.identities.get(keyOf(item)))?.['identity_traits'];

test('inserts and updates of different documents take one call', async () => {
  const [one, other] = await store(createItem(), createItem({ identity_traits: { L: [] } }));
  const fresh = createItem();
  const before = proxy.calls.length;
  expect(await write(update(one!), insert(fresh), update(other!))).toEqual(['written', 'written', 'written']);
  expect(proxy.calls.length - before).toBe(1);
  expect(await traitsOf(one!)).toEqual(NEW_TRAITS);
  expect(await traitsOf(other!)).toEqual(NEW_TRAITS);
  expect(await edge.identities.get(keyOf(fresh))).toMatchObject({ identity_uuid: fresh['identity_uuid'] });
});

test('a document that is no longer as it was read is left alone, and the others are written', async () => {
  const [changed, same, taken] = await store(createItem(), createItem(), createItem());
  const results = await write(
    update(changed!, { identity_traits: { L: [] } }),
    update(same!),
    insert({ ...taken!, identity_traits: NEW_TRAITS }),
    update(createItem()),
  );
  expect(results).toEqual(['unclear', 'written', 'changed', 'unclear']);
  expect(await traitsOf(changed!)).toEqual(TRAITS);
  expect(await traitsOf(taken!)).toEqual(TRAITS);
});

test('writes that PartiQL may treat differently are left to be done alone', async () => {
  const [edgeBorn, plain, other] = await store(createItem({ django_id: { NULL: true } }), createItem(), createItem());
  const remove: DocumentWrite = { kind: 'delete', expected: other! };
  const results = await write(
    update(edgeBorn!),
    update(plain!, { dashboard_alias: undefined }),
    remove,
    update(other!),
  );
  expect(results).toEqual(['unclear', 'unclear', 'unclear', 'unclear']);
  expect(await traitsOf(edgeBorn!)).toEqual(TRAITS);
});

test.each([
  ['throttled', { kind: 'throttle' }],
  ['refused', { kind: 'answer', status: 400, type: 'AccessDeniedException' }],
  ['lost', { kind: 'loseAnswer' }],
] as const)('a call that is %s leaves all in doubt, and is not sent again', async (_, fault) => {
  const items = await store(createItem(), createItem());
  proxy.inject(({ operation }) => (operation === 'BatchExecuteStatement' ? fault : undefined));
  const before = proxy.calls.length;
  expect(await write(...items.map((item) => update(item)))).toEqual(['unclear', 'unclear']);
  expect(proxy.calls.length - before).toBe(1);
});

test('only throttled statements are in doubt, and throttling slows everything down', async () => {
  const items = await store(createItem(), createItem());
  proxy.inject(({ operation }) =>
    operation === 'BatchExecuteStatement' ? { kind: 'throttleStatements', indexes: [1] } : undefined,
  );
  const { throttled } = edge.budget.spent();
  expect(await write(...items.map((item) => update(item)))).toEqual(['written', 'unclear']);
  expect(edge.budget.spent().throttled).toBe(throttled + 1);
});

test('writes of aborted callers are not sent', async () => {
  const [one, other, third] = await store(createItem(), createItem(), createItem());
  const stopped = AbortSignal.abort(new Error('stop'));
  const results = await edge.identities.writeMany([
    { write: update(one!), signal: undefined },
    { write: update(other!), signal: stopped },
    { write: update(third!), signal: undefined },
  ]);
  expect(results).toEqual(['written', 'unclear', 'written']);
  expect(await traitsOf(other!)).toEqual(TRAITS);
});
