import { DescribeGlobalTableCommand, DescribeTableCommand, GetItemCommand } from '@aws-sdk/client-dynamodb';
import { expect, test } from 'vitest';
import { startGlobalTable } from './global-table.ts';
import { newTableName, RegionClient } from './testing.ts';

test('the legacy version adds attributes with the region and time of the last write to each item', async () => {
  await using global = await startGlobalTable({ version: '2017.11.29', heapMb: 128 });
  const table = newTableName();
  using europe = new RegionClient(global.region('eu-west-2'), table);
  using america = new RegionClient(global.region('us-east-2'), table);
  await europe.createTable();
  await europe.put('a', 'from Europe');
  await america.put('a', 'from America');
  await america.put('b', 'deleted');
  await global.settle();
  await europe.delete('b');
  await global.settle();
  for (const client of [europe, america]) {
    const get = new GetItemCommand({ TableName: table, Key: { id: { S: 'a' } } });
    expect((await client.sdk.send(get)).Item).toEqual({
      id: { S: 'a' },
      value: { S: 'from America' },
      'aws:rep:deleting': { BOOL: false },
      'aws:rep:updatetime': { N: expect.stringMatching(/^\d{10}\.\d+$/) },
      'aws:rep:updateregion': { S: 'us-east-2' },
    });
    expect(await client.scan()).toEqual({ a: 'from America' });
  }
  const { Table } = await europe.sdk.send(new DescribeTableCommand({ TableName: table }));
  expect(Table).not.toHaveProperty('GlobalTableVersion');
  expect(Table).not.toHaveProperty('Replicas');
  const described = await europe.sdk.send(new DescribeGlobalTableCommand({ GlobalTableName: table }));
  expect(described.GlobalTableDescription?.ReplicationGroup?.map(({ RegionName }) => RegionName)).toEqual([
    'eu-west-2',
    'us-east-2',
  ]);
});
