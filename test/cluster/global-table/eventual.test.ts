import {
  BatchExecuteStatementCommand,
  BatchWriteItemCommand,
  DeleteTableCommand,
  DescribeTableCommand,
  PutItemCommand,
  TransactWriteItemsCommand,
  UpdateItemCommand,
  UpdateTimeToLiveCommand,
} from '@aws-sdk/client-dynamodb';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createTables } from '../../edge/tables.ts';
import { regionalDynamodb } from '../shared.ts';
import { waitFor } from '../wait.ts';
import { findLostWrites, type GlobalTable, HELD, startGlobalTable } from './global-table.ts';
import { newTableName, RegionClient } from './testing.ts';

const REGIONS = ['eu-west-2', 'us-east-2', 'ap-south-1'] as const;
const AT_ONCE = { minMs: 0, maxMs: 0 };

let shiftMs = 0;
const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + shiftMs };
let global: GlobalTable;
let europe: RegionClient;
let america: RegionClient;
let asia: RegionClient;

beforeAll(async () => {
  global = await startGlobalTable({ regions: REGIONS, clock, server: await regionalDynamodb() });
});
beforeEach(async () => {
  const table = newTableName();
  [europe, america, asia] = REGIONS.map((name) => new RegionClient(global.region(name), table)) as [
    RegionClient,
    RegionClient,
    RegionClient,
  ];
  await europe.createTable();
  global.setDelay(HELD);
});
afterEach(async () => {
  for (const name of REGIONS) global.region(name).rejoin();
  await global.settle();
  for (const client of [europe, america, asia]) client[Symbol.dispose]();
});
afterAll(() => global.stop());

const everywhere = () => Promise.all([europe.scan(), america.scan(), asia.scan()]);
const threeTimes = <T>(value: T) => [value, value, value];

describe('replication between regions', () => {
  test('shows a write in its own region at once and in the others only after the delay', async () => {
    await europe.put('a', 'written');
    expect(await everywhere()).toEqual([{ a: 'written' }, {}, {}]);
    await global.settle();
    expect(await everywhere()).toEqual(threeTimes({ a: 'written' }));
  });

  test('applies a shortened delay to writes already under way', async () => {
    await europe.put('a', 'written');
    expect(global.pending).toBe(2);
    global.setDelay(AT_ONCE);
    await waitFor(() => global.pending === 0, { for: 'replication' });
    expect(await everywhere()).toEqual(threeTimes({ a: 'written' }));
  });

  test('happens automatically after a delay between two bounds', async () => {
    global.setDelay({ minMs: 1, maxMs: 50 });
    await Promise.all(['a', 'b', 'c', 'd'].map((id) => europe.put(id, 'written')));
    await waitFor(() => global.pending === 0, { for: 'replication' });
    expect(await everywhere()).toEqual(threeTimes({ a: 'written', b: 'written', c: 'written', d: 'written' }));
  });

  test('continues while clients write without a pause', async () => {
    global.setDelay(AT_ONCE);
    const write = async (client: RegionClient, name: string) => {
      for (let index = 0; index < 30; index++) await client.put(`${name}${index}`, 'written');
    };
    await Promise.all(['a', 'b', 'c', 'd'].map((name) => write(europe, name)));
    expect(Object.keys(await america.scan()).length).toBeGreaterThan(30);
  });

  test('delivers all items of a request larger than 1 MB', async () => {
    const value = 'x'.repeat(100_000);
    const items = Array.from({ length: 25 }, (_, index) => ({ id: { S: `${index}` }, value: { S: value } }));
    const requests = items.map((Item) => ({ PutRequest: { Item } }));
    await europe.sdk.send(new BatchWriteItemCommand({ RequestItems: { [europe.table]: requests } }));
    await global.settle();
    for (const { id } of items) expect((await asia.get(id.S))?.length).toBe(value.length);
  });

  test('includes the successful statements of a batch, but not the failed ones', async () => {
    await europe.put('old', 'before');
    await global.settle();
    const { Responses } = await europe.sdk.send(
      new BatchExecuteStatementCommand({
        Statements: [
          {
            Statement: `INSERT INTO "${europe.table}" VALUE {'id': ?, 'value': ?}`,
            Parameters: [{ S: 'new' }, { S: 'x' }],
          },
          {
            Statement: `INSERT INTO "${europe.table}" VALUE {'id': ?, 'value': ?}`,
            Parameters: [{ S: 'old' }, { S: 'x' }],
          },
        ],
      }),
    );
    expect(Responses?.map(({ Error: error }) => error?.Code)).toEqual([undefined, 'DuplicateItem']);
    await global.settle();
    expect(await everywhere()).toEqual(threeTimes({ new: 'x', old: 'before' }));
  });

  test('resumes where it was on a stream whose iterator has expired', async () => {
    await europe.put('a', 'before');
    shiftMs += 900_000;
    await europe.put('b', 'afterwards');
    await global.settle();
    expect(await everywhere()).toEqual(threeTimes({ a: 'before', b: 'afterwards' }));
    expect(global.pending).toBe(0);
  });

  test('skips a write that changes nothing, which does not count as a later one either', async () => {
    await europe.put('a', 'first');
    await global.settle();
    await america.put('a', 'second');
    await europe.put('a', 'first');
    await global.settle();
    expect(await everywhere()).toEqual(threeTimes({ a: 'second' }));
  });

  test("gives Edge's tables their indexes in each region", async () => {
    const tables = await createTables(global.region('eu-west-2'));
    using client = new RegionClient(global.region('us-east-2'), tables.settings.identitiesTable);
    const { Table } = await client.sdk.send(new DescribeTableCommand({ TableName: client.table }));
    expect(Table?.GlobalSecondaryIndexes?.map(({ IndexStatus }) => IndexStatus)).toContain('ACTIVE');
    await tables.drop();
    await expect(client.scan()).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  });

  test('drops the pending writes of a deleted table', async () => {
    await europe.put('a', 'written');
    await europe.sdk.send(new DeleteTableCommand({ TableName: europe.table }));
    await expect(america.scan()).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
    await america.createTable();
    await global.settle();
    expect(await everywhere()).toEqual(threeTimes({}));
    await america.put('a', 'of a new table');
    expect(global.history.at(-1)).toMatchObject({ region: 'us-east-2', over: undefined });
  });
});

describe('when two regions write the same item', () => {
  test('the later write wins as a whole item: attributes that only the earlier one set are lost', async () => {
    await europe.put('a', 'base');
    await global.settle();
    const update = (client: RegionClient, name: string) =>
      client.sdk.send(
        new UpdateItemCommand({
          TableName: client.table,
          Key: { id: { S: 'a' } },
          UpdateExpression: 'SET #name = :value',
          ExpressionAttributeNames: { '#name': name },
          ExpressionAttributeValues: { ':value': { S: name } },
        }),
      );
    await update(america, 'value');
    await update(europe, 'other');
    await global.settle();
    expect(await everywhere()).toEqual(threeTimes({ a: 'base' }));
  });

  test('a successful conditional write is lost when a later one replaces it', async () => {
    await europe.put('a', 'from Europe', { insert: true });
    await america.put('a', 'from America', { insert: true });
    expect(await europe.get('a')).toBe('from Europe');
    await global.settle();
    expect(await everywhere()).toEqual(threeTimes({ a: 'from America' }));
  });

  test('a deleted item comes back when another region wrote it later', async () => {
    await europe.put('a', 'base');
    await global.settle();
    await europe.delete('a');
    await america.put('a', 'from America');
    await global.settle();
    expect(await everywhere()).toEqual(threeTimes({ a: 'from America' }));
  });

  test('a later delete removes an earlier write from another region, however late that arrives', async () => {
    await europe.put('a', 'base');
    await global.settle();
    global.region('us-east-2').isolate();
    await america.put('a', 'from America');
    await europe.delete('a');
    await global.settle();
    global.region('us-east-2').rejoin();
    await global.settle();
    expect(await everywhere()).toEqual(threeTimes({}));
  });

  test('a delete of an absent item does not count as a write', async () => {
    await america.put('a', 'from America');
    await europe.delete('a');
    await global.settle();
    expect(await everywhere()).toEqual(threeTimes({ a: 'from America' }));
  });

  test('the history shows which write was lost to which, and how far apart they were', async () => {
    const before = global.history.length;
    await europe.put('a', 'from Europe');
    await america.put('a', 'from America');
    await global.settle();
    await europe.put('a', 'after both');
    await global.settle();
    const [lost, ...others] = findLostWrites(global.history.slice(before));
    expect(others).toEqual([]);
    expect(lost).toMatchObject({ write: { region: 'eu-west-2' }, to: { region: 'us-east-2' } });
    expect(lost?.windowMs).toBeGreaterThan(0);
  });
});

describe('transactions on a global table', () => {
  test('are atomic only in their own region: elsewhere one item can win and the other lose', async () => {
    const put = (id: string) => ({
      Put: { TableName: europe.table, Item: { id: { S: id }, value: { S: 'together' } } },
    });
    await europe.sdk.send(new TransactWriteItemsCommand({ TransactItems: [put('a'), put('b')] }));
    await america.put('b', 'alone');
    await global.settle();
    expect(await everywhere()).toEqual(threeTimes({ a: 'together', b: 'alone' }));
  });

  test('replicate nothing when they are cancelled', async () => {
    await america.put('b', 'alone');
    await global.settle();
    const table = europe.table;
    const transaction = new TransactWriteItemsCommand({
      TransactItems: [
        { Put: { TableName: table, Item: { id: { S: 'a' } } } },
        {
          Put: { TableName: table, Item: { id: { S: 'b' } }, ConditionExpression: 'attribute_not_exists(id)' },
        },
      ],
    });
    await expect(europe.sdk.send(transaction)).rejects.toMatchObject({ name: 'TransactionCanceledException' });
    await global.settle();
    expect(await everywhere()).toEqual(threeTimes({ b: 'alone' }));
  });
});

describe('a region of a global table', () => {
  test('keeps serving its clients while isolated; afterwards everything replicates in both directions', async () => {
    global.region('eu-west-2').isolate();
    await europe.put('a', 'from Europe');
    await america.put('b', 'from America');
    await global.settle();
    expect(await everywhere()).toEqual([{ a: 'from Europe' }, { b: 'from America' }, { b: 'from America' }]);
    global.setDelay(AT_ONCE);
    global.region('eu-west-2').rejoin();
    await waitFor(() => global.pending === 0, { for: 'replication' });
    expect(await everywhere()).toEqual(threeTimes({ a: 'from Europe', b: 'from America' }));
  });

  test('serves no client while it is dark, but still receives the writes of the others', async () => {
    const region = global.region('us-east-2');
    region.goDark();
    await expect(america.get('a')).rejects.toMatchObject({ code: 'ECONNRESET' });
    await europe.put('a', 'meanwhile');
    await global.settle();
    region.comeBack();
    expect(await america.get('a')).toBe('meanwhile');
  });

  test('has separate endpoints for some clients, which can go dark or refuse writes without affecting the others', async () => {
    const region = global.region('us-east-2');
    const way = await region.openWay();
    using client = new RegionClient({ ...region, endpoint: way.endpoint }, europe.table);
    await client.put('a', 'by the way');
    expect(await america.get('a')).toBe('by the way');
    expect(global.history.at(-1)).toMatchObject({ isByWay: true });
    way.refuseWrites(true);
    await expect(client.put('a', 'refused')).rejects.toMatchObject({ name: 'AccessDeniedException' });
    expect(await client.get('a')).toBe('by the way');
    await america.put('a', 'by the others');
    expect(global.history.at(-1)?.isByWay).toBeUndefined();
    way.refuseWrites(false);
    way.goDark();
    await expect(client.get('a')).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(await america.get('a')).toBe('by the others');
    way.comeBack();
    await client.delete('a');
    expect(await america.get('a')).toBeUndefined();
    expect(way.writes).toBe(2);
  });

  test('describes the table as AWS does, with the other regions as replicas', async () => {
    global.region('us-east-2').setStatus('REGION_DISABLED');
    const { Table } = await europe.sdk.send(new DescribeTableCommand({ TableName: europe.table }));
    global.region('us-east-2').setStatus('ACTIVE');
    expect(Table).toMatchObject({
      TableStatus: 'ACTIVE',
      GlobalTableVersion: '2019.11.21',
      Replicas: [
        { RegionName: 'us-east-2', ReplicaStatus: 'REGION_DISABLED' },
        { RegionName: 'ap-south-1', ReplicaStatus: 'ACTIVE' },
      ],
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' },
    });
    expect(Table?.TableArn).toContain(':eu-west-2:');
    expect(Table).not.toHaveProperty('MultiRegionConsistency');
  });

  test('rejects requests that it does not understand instead of forwarding them', async () => {
    const command = new UpdateTimeToLiveCommand({
      TableName: europe.table,
      TimeToLiveSpecification: { AttributeName: 'ttl', Enabled: true },
    });
    await expect(europe.sdk.send(command)).rejects.toThrow('does not understand DynamoDB_20120810.UpdateTimeToLive');
  });
});

test('every region converges on the last write of each item after any history, and no other write is unaccounted for', async () => {
  const region = fc.constantFrom(0, 1, 2);
  const id = fc.constantFrom('a', 'b');
  const step = fc.oneof(
    fc.record({ kind: fc.constant('put' as const), region, id }),
    fc.record({ kind: fc.constant('insert' as const), region, id }),
    fc.record({ kind: fc.constant('delete' as const), region, id }),
    fc.record({ kind: fc.constantFrom('isolate' as const, 'rejoin' as const, 'settle' as const), region, id }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 25 }), async (steps) => {
      const clients = [europe, america, asia] as const;
      for (const key of ['a', 'b']) await europe.put(key, 'start');
      await global.settle();
      // For each item, the last successful write of a client in real time.
      const expected: Record<string, string> = { a: 'start', b: 'start' };
      const from = global.history.length;
      for (const [index, { kind, region: at, id: key }] of steps.entries()) {
        const client = clients[at];
        const value = `${kind} ${index}`;
        if (kind === 'settle') await global.settle();
        else if (kind === 'isolate' || kind === 'rejoin') global.region(REGIONS[at])[kind]();
        else if (kind === 'delete') {
          const changes = (await client.get(key)) !== undefined;
          await client.delete(key);
          if (changes) delete expected[key];
        } else {
          const done = client.put(key, value, { insert: kind === 'insert' });
          if (await done.then(() => true, isConditionFailed)) expected[key] = value;
        }
      }
      for (const name of REGIONS) global.region(name).rejoin();
      await global.settle();
      expect(await everywhere()).toEqual(threeTimes(expected));
      expect(global.pending).toBe(0);
      const history = global.history.slice(from);
      for (const { write, to } of findLostWrites(history)) expect(to.stamp).toBeGreaterThan(write.stamp);
      expect(history.every(({ stamp }, index) => index === 0 || stamp > history[index - 1]!.stamp)).toBe(true);
    }),
    { numRuns: 15 },
  );
});

function isConditionFailed(error: Error): false {
  if (error.name !== 'ConditionalCheckFailedException') throw error;
  return false;
}

test('a write whose client hangs up before its turn is not performed', async () => {
  const others = Array.from({ length: 40 }, (_, index) => europe.put(`other ${index}`, 'made'));
  const Item = { id: { S: 'late' }, value: { S: 'never made' } };
  const hangingUp = new AbortController();
  const late = europe.sdk.send(new PutItemCommand({ TableName: europe.table, Item }), {
    abortSignal: hangingUp.signal,
  });
  const rejected = expect(late).rejects.toMatchObject({ name: 'AbortError' });
  await Promise.race(others);
  hangingUp.abort();
  await rejected;
  await Promise.all(others);
  await europe.put('last', 'made');
  expect(await europe.get('late')).toBeUndefined();
});
