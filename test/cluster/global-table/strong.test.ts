import {
  BatchExecuteStatementCommand,
  BatchWriteItemCommand,
  CreateTableCommand,
  DescribeTableCommand,
  ExecuteStatementCommand,
  ExecuteTransactionCommand,
  TransactGetItemsCommand,
  TransactWriteItemsCommand,
} from '@aws-sdk/client-dynamodb';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { regionalDynamodb } from '../shared.ts';
import { waitFor } from '../wait.ts';
import { type GlobalTable, HELD, startGlobalTable } from './global-table.ts';
import { newTableName, RegionClient } from './testing.ts';

const REGIONS = ['us-east-2', 'us-west-2'] as const;
const AT_ONCE = { minMs: 0, maxMs: 0 };
const CONFLICT = { name: 'ReplicatedWriteConflictException', $metadata: { httpStatusCode: 400 } };

let global: GlobalTable;
let east: RegionClient;
let west: RegionClient;

beforeAll(async () => {
  global = await startGlobalTable({
    regions: REGIONS,
    consistency: 'STRONG',
    witness: 'us-east-1',
    server: await regionalDynamodb(),
  });
});
beforeEach(async () => {
  const table = newTableName();
  east = new RegionClient(global.region('us-east-2'), table);
  west = new RegionClient(global.region('us-west-2'), table);
  await east.createTable();
});
afterEach(() => {
  global.setDelay(AT_ONCE);
  for (const name of REGIONS) global.region(name).rejoin();
  for (const client of [east, west]) client[Symbol.dispose]();
});
afterAll(() => global.stop());

/** Begins a write of `held` in one region; on return it is under way, stored but unanswered. */
async function beginWrite(client: RegionClient, id = 'held'): Promise<{ finish(): Promise<void> }> {
  global.setDelay(HELD);
  const written = client.put(id, 'under way');
  await waitFor(async () => (await client.get(id)) === 'under way', { for: 'a write to be under way' });
  return {
    async finish() {
      global.setDelay(AT_ONCE);
      await written;
    },
  };
}

const insert = (client: RegionClient, id: string) => ({
  Statement: `INSERT INTO "${client.table}" VALUE {'id': ?, 'value': ?}`,
  Parameters: [{ S: id }, { S: 'inserted' }],
});

test('every region reads a write as soon as any region has acknowledged it', async () => {
  await east.put('a', 'written');
  expect(await west.get('a')).toBe('written');
  await west.delete('a');
  expect(await east.get('a')).toBeUndefined();
});

test('a condition is evaluated against the newest version of the item in any region', async () => {
  await east.put('a', 'first', { insert: true });
  await expect(west.put('a', 'second', { insert: true })).rejects.toMatchObject({
    name: 'ConditionalCheckFailedException',
  });
});

describe('while a region writes an item, another region', () => {
  test('is refused a put and a delete of it, and succeeds on retry afterwards', async () => {
    const { finish } = await beginWrite(east);
    await expect(west.put('held', 'second')).rejects.toMatchObject(CONFLICT);
    await expect(west.delete('held')).rejects.toMatchObject(CONFLICT);
    await finish();
    expect(await west.get('held')).toBe('under way');
    await west.put('held', 'second');
    expect(await east.get('held')).toBe('second');
  });

  test('is refused a statement on it and a whole batch of writes that includes it', async () => {
    const { finish } = await beginWrite(east);
    const Statement = `UPDATE "${west.table}" SET "value" = 'x' WHERE "id" = 'held'`;
    await expect(west.sdk.send(new ExecuteStatementCommand({ Statement }))).rejects.toMatchObject(CONFLICT);
    const requests = ['held', 'free'].map((id) => ({ PutRequest: { Item: { id: { S: id } } } }));
    const batch = new BatchWriteItemCommand({ RequestItems: { [west.table]: requests } });
    await expect(west.sdk.send(batch)).rejects.toMatchObject(CONFLICT);
    await finish();
    expect(await west.scan()).toEqual({ held: 'under way' });
  });

  test('is refused only the statement on it in a batch', async () => {
    const { finish } = await beginWrite(east);
    const batch = new BatchExecuteStatementCommand({ Statements: ['a', 'held', 'b'].map((id) => insert(west, id)) });
    const answered = west.sdk.send(batch);
    await waitFor(async () => (await east.get('b')) === 'inserted', { for: 'the other statements' });
    await finish();
    const { Responses } = await answered;
    expect(Responses?.map(({ Error: error }) => error?.Code)).toEqual([
      undefined,
      'ReplicatedWriteConflict',
      undefined,
    ]);
    expect(await east.scan()).toEqual({ a: 'inserted', b: 'inserted', held: 'under way' });
  });

  test('can write other items', async () => {
    const { finish } = await beginWrite(east);
    const other = west.put('free', 'written');
    await finish();
    await other;
    expect(await east.scan()).toEqual({ free: 'written', held: 'under way' });
  });
});

test('two writes of one item in one region do not conflict', async () => {
  const { finish } = await beginWrite(east);
  const second = east.put('held', 'second');
  await waitFor(async () => (await west.get('held')) === 'second', { for: 'the second write' });
  await finish();
  await second;
});

test('transactions and local secondary indexes are refused', async () => {
  const Item = { id: { S: 'a' } };
  const refused = { name: 'ValidationException' };
  const writes = new TransactWriteItemsCommand({ TransactItems: [{ Put: { TableName: east.table, Item } }] });
  await expect(east.sdk.send(writes)).rejects.toMatchObject(refused);
  const reads = new TransactGetItemsCommand({ TransactItems: [{ Get: { TableName: east.table, Key: Item } }] });
  await expect(east.sdk.send(reads)).rejects.toMatchObject(refused);
  const statements = new ExecuteTransactionCommand({ TransactStatements: [insert(east, 'a')] });
  await expect(east.sdk.send(statements)).rejects.toMatchObject(refused);
  const KeySchema = [
    { AttributeName: 'id', KeyType: 'HASH' as const },
    { AttributeName: 'at', KeyType: 'RANGE' as const },
  ];
  const table = new CreateTableCommand({
    TableName: newTableName(),
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: KeySchema.map(({ AttributeName }) => ({ AttributeName, AttributeType: 'S' })),
    KeySchema,
    LocalSecondaryIndexes: [{ IndexName: 'local', KeySchema, Projection: { ProjectionType: 'ALL' } }],
  });
  await expect(east.sdk.send(table)).rejects.toMatchObject(refused);
  expect(await east.scan()).toEqual({});
});

test('an isolated region refuses writes and strongly consistent reads while the others keep working', async () => {
  await east.put('a', 'before');
  global.region('us-west-2').isolate();
  await expect(west.put('a', 'second')).rejects.toMatchObject({ name: 'InternalServerError' });
  await expect(west.get('a')).rejects.toMatchObject({ name: 'InternalServerError' });
  expect(await west.get('a', { ConsistentRead: false })).toBe('before');
  await east.put('b', 'meanwhile');
  global.region('us-west-2').rejoin();
  expect(await west.scan()).toEqual({ a: 'before', b: 'meanwhile' });
});

test('the table is described as by AWS: strong, with the witness, and without a stream', async () => {
  const { Table } = await east.sdk.send(new DescribeTableCommand({ TableName: east.table }));
  expect(Table).toMatchObject({
    GlobalTableVersion: '2019.11.21',
    MultiRegionConsistency: 'STRONG',
    Replicas: [{ RegionName: 'us-west-2', ReplicaStatus: 'ACTIVE' }],
    GlobalTableWitnesses: [{ RegionName: 'us-east-1', WitnessStatus: 'ACTIVE' }],
  });
  expect(Table).not.toHaveProperty('StreamSpecification');
});

test('strong consistency requires a third region or a witness, and a witness requires strong consistency', async () => {
  await expect(startGlobalTable({ regions: REGIONS, consistency: 'STRONG' })).rejects.toThrow('three regions');
  await expect(startGlobalTable({ regions: REGIONS, witness: 'us-east-1' })).rejects.toThrow('witness');
});
