import { randomUUID } from 'node:crypto';
import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { dynamodb } from '@edge-migration/test/cluster/shared.ts';
import { createTables, type DynamodbAccess, identities, type TestTables } from '@edge-migration/test/edge/tables.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { itemBytes } from '../document/size.ts';
import { type EdgeCallOptions, type EdgeStore, type Item, openEdge } from './table.ts';

let access: DynamodbAccess;
let tables: TestTables;
let edge: EdgeStore;

beforeAll(async () => {
  access = await dynamodb();
  tables = await createTables(access);
  edge = openEdge(tables.settings, { credentials: access.credentials });
});

afterAll(async () => {
  edge.close();
  await tables.drop();
});

/** A document with a key of its own. */
function createItem(attributes: Item = {}): Item & { composite_key: { S: string } } {
  const identifier = randomUUID();
  return {
    composite_key: { S: `key_${identifier}` },
    environment_api_key: { S: 'key' },
    identifier: { S: identifier },
    identity_uuid: { S: randomUUID() },
    identity_traits: { L: [trait('plan', { S: 'gold' }), trait('age', { N: '42' })] },
    identity_features: { L: [] },
    ...attributes,
  };
}

const trait = (key: string, value: Item[string]) => ({ M: { trait_key: { S: key }, trait_value: value } });
/** With sizes, as the copy does. */
const insert = (to: EdgeStore, items: readonly Item[], options?: EdgeCallOptions) =>
  to.identities.insertMany(
    items.map((item) => ({ item, bytes: itemBytes(item) })),
    options,
  );

const keyOf = (item: Item) => item['composite_key']?.S ?? '';

describe('describe', () => {
  test('describe returns status and indexes of the right tables', async () => {
    const { identities, overrideRows } = await edge.describe();
    expect(identities).toMatchObject({ status: 'ACTIVE' });
    expect(identities.indexes).toContain('environment_api_key-identifier-index');
    expect(overrideRows?.table).toBe(tables.settings.environmentsV2Table);
  });

  test('describe names a missing table, where it was looked for, and what to do', async () => {
    const other = openEdge({ ...tables.settings, identitiesTable: 'nowhere' }, { credentials: access.credentials });
    const failure = await other.describe().catch((error: Error) => error);
    other.close();
    expect(failure).toMatchObject({ name: 'TableMissing', disposition: 'misconfigured' });
    expect((failure as Error).message).toContain(`Table nowhere does not exist at ${access.endpoint}: create it`);
  });

  test('describe refuses a table with another key, and names both keys', async () => {
    const table = `wrong-${randomUUID()}`;
    const client = new DynamoDBClient(access);
    const keys = { KeySchema: [{ AttributeName: 'identity_uuid', KeyType: 'HASH' as const }] };
    const AttributeDefinitions = [{ AttributeName: 'identity_uuid', AttributeType: 'S' as const }];
    const { BillingMode } = identities(table);
    await client.send(new CreateTableCommand({ TableName: table, BillingMode, AttributeDefinitions, ...keys }));
    client.destroy();
    const other = openEdge({ ...tables.settings, identitiesTable: table }, { credentials: access.credentials });
    await expect(other.describe()).rejects.toMatchObject({
      name: 'WrongTable',
      message: expect.stringContaining('has the key identity_uuid S (HASH), expected composite_key S (HASH)'),
    });
    other.close();
  });
});

describe('insertMany', () => {
  test('insertMany stores absent items, keeps existing ones and reports each that can never be stored', async () => {
    const [existing, fresh] = [createItem(), createItem({ created_date: { S: '2023-05-17T09:30:01+00:00' } })];
    await insert(edge, [existing]);
    const changed = { ...existing, identity_traits: { L: [] } };
    const noIdentifier = createItem({ identifier: { S: '' } });
    const longIdentifier = createItem({ identifier: { S: 'x'.repeat(1025) } });
    const tooBig = createItem({ identity_traits: { L: [trait('big', { S: 'x'.repeat(410_000) })] } });
    const outcomes = await insert(edge, [changed, noIdentifier, fresh, longIdentifier, tooBig]);
    expect(outcomes).toEqual([
      'exists',
      { rejected: expect.stringContaining('empty string value') },
      'inserted',
      { rejected: expect.stringContaining('Size limit exceeded') },
      { rejected: expect.stringContaining('exceeded') },
    ]);
    const stored = await edge.identities.getMany([existing, fresh, noIdentifier].map(keyOf));
    expect(stored).toEqual(
      new Map([
        [keyOf(existing), existing],
        [keyOf(fresh), fresh],
      ]),
    );
  });

  test('insertMany finds the item for which DynamoDB refuses the whole call', async () => {
    const items = Array.from({ length: 25 }, () => createItem());
    items[7] = createItem({ identity_traits: { L: [trait('number', { N: '1'.repeat(39) })] } });
    items[19] = { ...items[3]!, identity_features: { L: [] } };
    const outcomes = await insert(edge, items);
    expect(outcomes[7]).toEqual({ rejected: expect.stringMatching(/38 digits/) });
    expect(outcomes.filter((outcome) => outcome === 'inserted')).toHaveLength(23);
    expect([outcomes[3], outcomes[19]].sort()).toEqual(['exists', 'inserted']);
  });

  test('insertMany charges at least one unit for the item and each index', async () => {
    const before = edge.budget.spent().units;
    await insert(edge, [createItem(), createItem()]);
    expect(edge.budget.spent().units - before).toBeGreaterThanOrEqual(6);
  });
});

describe('conditional writes', () => {
  test('put stores a document where there is none, once', async () => {
    const item = createItem();
    const results = await Promise.all(Array.from({ length: 8 }, () => edge.identities.putIfUnchanged(item, undefined)));
    expect(results.filter((result) => result === 'written')).toHaveLength(1);
    expect(results.find((result) => result !== 'written')).toEqual({ changed: item });
  });

  test('put replaces only the document that was read', async () => {
    const item = createItem();
    await insert(edge, [item]);
    const replacement = { ...item, identity_traits: { L: [] }, django_id: { N: '7' } };
    const reordered = { ...item, identity_traits: { L: [...item['identity_traits']!.L!].reverse() } };
    expect(await edge.identities.putIfUnchanged(replacement, reordered)).toEqual({ changed: item });
    expect(await edge.identities.putIfUnchanged(replacement, item)).toBe('written');
    expect(await edge.identities.get(keyOf(item))).toEqual(replacement);
  });

  test('put does not erase an alias that was set since the document was read', async () => {
    const item = createItem();
    const aliased = { ...item, dashboard_alias: { S: 'somebody' } };
    await insert(edge, [aliased]);
    expect(await edge.identities.putIfUnchanged({ ...item, identity_traits: { L: [] } }, item)).toEqual({
      changed: aliased,
    });
  });

  test('update changes the named attributes and keeps concurrent changes of others', async () => {
    const item = createItem({ system_traits: { M: { cohort: { BOOL: true } } } });
    await insert(edge, [{ ...item, dashboard_alias: { S: 'written meanwhile' } }]);
    const change = { set: { identity_traits: { L: [] } }, remove: ['system_traits'] };
    const expected = { identity_traits: item['identity_traits'], django_id: undefined };
    expect(await edge.identities.updateIfUnchanged(keyOf(item), change, expected)).toBe('written');
    const { system_traits: _, ...rest } = item;
    expect(await edge.identities.get(keyOf(item))).toEqual({
      ...rest,
      identity_traits: { L: [] },
      dashboard_alias: { S: 'written meanwhile' },
    });
  });

  test('update writes nothing when a list that was read has changed, or the document is gone', async () => {
    const item = createItem();
    await insert(edge, [item]);
    const change = { set: { identity_traits: { L: [] } } };
    const stale = { identity_traits: { L: [trait('plan', { S: 'silver' })] } };
    expect(await edge.identities.updateIfUnchanged(keyOf(item), change, stale)).toEqual({ changed: item });
    expect(await edge.identities.updateIfUnchanged('key_nobody', change, {})).toEqual({ changed: undefined });
    expect(await edge.identities.get('key_nobody')).toBeUndefined();
  });

  test('numbers are compared by value', async () => {
    const item = createItem({ identity_traits: { L: [trait('score', { N: '10.0' })] } });
    await insert(edge, [item]);
    const read = { identity_traits: { L: [trait('score', { N: '1E1' })] } };
    expect(await edge.identities.updateIfUnchanged(keyOf(item), { set: { django_id: { N: '1' } } }, read)).toBe(
      'written',
    );
  });

  test('delete removes only the document that was read', async () => {
    const item = createItem();
    await insert(edge, [item]);
    const other = { ...item, identity_traits: { L: [] } };
    expect(await edge.identities.deleteIfUnchanged(other)).toEqual({ changed: item });
    expect(await edge.identities.deleteIfUnchanged(item)).toBe('written');
    expect(await edge.identities.deleteIfUnchanged(item)).toEqual({ changed: undefined });
  });

  test.each(['dashboard_alias', 'system_traits'])(
    'delete leaves a document to which %s was added meanwhile',
    async (name) => {
      const item = createItem();
      await insert(edge, [item]);
      const set = { [name]: { S: 'written meanwhile' } };
      await edge.identities.updateIfUnchanged(keyOf(item), { set }, {});
      expect(await edge.identities.deleteIfUnchanged(item)).toEqual({ changed: { ...item, ...set } });
      expect(await edge.identities.get(keyOf(item))).toEqual({ ...item, ...set });
    },
  );

  test('a document that DynamoDB can never store is an error that says why', async () => {
    const tooBig = createItem({ identity_traits: { L: [trait('big', { S: 'x'.repeat(410_000) })] } });
    await expect(edge.identities.putIfUnchanged(tooBig, undefined)).rejects.toMatchObject({
      name: 'WriteRejected',
      message: expect.stringContaining('exceeded'),
    });
  });
});

test('getMany reads more documents than one call can return', async () => {
  const items = Array.from({ length: 150 }, () =>
    createItem({ identity_traits: { L: [trait('large', { S: 'x'.repeat(150_000) })] } }),
  );
  for (let from = 0; from < items.length; from += 25) await insert(edge, items.slice(from, from + 25));
  const found = await edge.identities.getMany([...items.map(keyOf), 'key_nobody', keyOf(items[0]!)]);
  expect(new Set(found.keys())).toEqual(new Set(items.map(keyOf)));
});

describe('override rows', () => {
  const row = (environmentId: string, featureId: number, value: string): Item => ({
    environment_id: { S: environmentId },
    document_key: { S: `identity_override:${featureId}:uuid` },
    feature_state: { M: { feature_state_value: { S: value } } },
  });
  const key = (environmentId: string, featureId: number) => ({
    environment_id: environmentId,
    document_key: `identity_override:${featureId}:uuid`,
  });

  test('override rows are put over existing ones, read and deleted, in more than one call', async () => {
    const rows = edge.overrideRows!;
    const batch = Array.from({ length: 60 }, (_, index) => row('7', 100 + index, 'batch'));
    await rows.putMany(batch);
    const others = [row('7', 100, 'single'), row('8', 100, 'other')];
    await rows.putMany(others);
    const stored = await tables.scan(tables.settings.environmentsV2Table);
    expect(stored).toEqual(expect.arrayContaining([...others, ...batch.slice(1)]));
    expect(stored).toHaveLength(61);
    await rows.delete(key('7', 100));
    const found = await rows.getMany([key('7', 100), key('7', 101), key('8', 100)]);
    expect([...found.values()]).toEqual(expect.arrayContaining([row('7', 101, 'batch'), row('8', 100, 'other')]));
    expect(found.size).toBe(2);
  });

  test('override rows are not available when their table is not configured', () => {
    const { environmentsV2Table: _, ...settings } = tables.settings;
    const other = openEdge(settings, { credentials: access.credentials });
    expect(other.overrideRows).toBeUndefined();
    other.close();
  });
});
