import { openEdge } from '@edge-migration/identity/edge/table/table.ts';
import { dynamodb, regionalDynamodb } from '@edge-migration/test/cluster/shared.ts';
import { expect, test } from 'vitest';
import { type GlobalTableOptions, startGlobalTable } from '../cluster/global-table/global-table.ts';
import { createTables, type DynamodbAccess } from '../edge/tables.ts';

/** The product's view of Edge's tables there. */
async function describeTables(access: DynamodbAccess) {
  const tables = await createTables(access);
  const edge = openEdge(tables.settings, { credentials: access.credentials });
  try {
    return await edge.describe();
  } finally {
    edge.close();
    await tables.drop();
  }
}

async function describeGlobalTables(options: GlobalTableOptions) {
  await using global = await startGlobalTable({ server: await regionalDynamodb(), ...options });
  global.region('us-west-2').setStatus('UPDATING');
  return await describeTables(global.region('us-east-2'));
}

test('a single-region table is described as such', async () => {
  const { identities, overrideRows } = await describeTables(await dynamodb());
  expect(identities.replication).toEqual({ kind: 'SingleRegion' });
  expect(overrideRows?.replication).toEqual({ kind: 'SingleRegion' });
});

test('a global table with eventual consistency is described with its other regions and their status', async () => {
  const { identities, overrideRows } = await describeGlobalTables({ regions: ['us-east-2', 'us-west-2'] });
  expect(identities.replication).toEqual({
    kind: 'GlobalTable',
    consistency: 'Eventual',
    version: '2019.11.21',
    replicas: [{ region: 'us-west-2', status: 'UPDATING' }],
    witness: undefined,
  });
  expect(overrideRows?.replication).toEqual(identities.replication);
});

test('a global table with strong consistency is described with its witness', async () => {
  const regions = ['us-east-2', 'us-west-2'];
  const { identities } = await describeGlobalTables({ regions, consistency: 'STRONG', witness: 'us-east-1' });
  expect(identities.replication).toMatchObject({
    kind: 'GlobalTable',
    consistency: 'Strong',
    witness: { region: 'us-east-1', status: 'ACTIVE' },
  });
});

test('a global table of the legacy version is detected although DescribeTable does not show it', async () => {
  const { identities } = await describeGlobalTables({ regions: ['us-east-2', 'us-west-2'], version: '2017.11.29' });
  expect(identities.region).toBe('us-east-2');
  expect(identities.replication).toEqual({
    kind: 'GlobalTable',
    consistency: 'Eventual',
    version: '2017.11.29',
    replicas: [{ region: 'us-west-2', status: 'ACTIVE' }],
    witness: undefined,
  });
});
