import type { Item, TableFacts } from '@edge-migration/identity/edge/table/table.ts';
import { describe, expect, test } from 'vitest';
import { sumWriteUnits } from './write-units.ts';

const document: Item = { composite_key: { S: 'key_ada' }, django_id: { N: '7' } };

const table = (name: string, facts: Partial<TableFacts> = {}): TableFacts => ({
  region: 'eu-west-2',
  table: name,
  status: 'ACTIVE',
  indexes: ['by-id', 'by-alias'],
  indexKeys: [['django_id'], ['dashboard_alias']],
  items: 0,
  bytes: 0,
  replication: { kind: 'SingleRegion' },
  ...facts,
});

const inRegions = (...regions: string[]): Partial<TableFacts> => ({
  replication: {
    kind: 'GlobalTable',
    consistency: 'Eventual',
    version: '2019.11.21',
    replicas: regions.map((region) => ({ region, status: 'ACTIVE' })),
    witness: undefined,
  },
});

describe('the write units that a plan counts for a document', () => {
  test('are one per KiB in the table and in each index that contains it', () => {
    const sum = sumWriteUnits({ region: 'eu-west-2', identities: table('identities'), overrideRows: undefined });
    sum.add({ item: document, bytes: 1025 }, []);
    sum.add({ item: { ...document, dashboard_alias: { S: 'ada' } }, bytes: 1024 }, []);
    expect(sum.units).toEqual({
      'eu-west-2/identities': 3,
      'eu-west-2/identities/by-id': 3,
      'eu-west-2/identities/by-alias': 1,
    });
    expect(sum.home).toBe(7);
  });

  test('are billed again in each other region of a global table, without counting against limits there', () => {
    const identities = table('identities', { ...inRegions('us-east-2', 'sa-east-1'), indexes: [], indexKeys: [] });
    const sum = sumWriteUnits({ region: 'eu-west-2', identities, overrideRows: undefined });
    sum.add({ item: document, bytes: 2000 }, []);
    expect(sum.units).toEqual({
      'eu-west-2/identities': 2,
      'us-east-2/identities': 2,
      'sa-east-1/identities': 2,
    });
    expect(sum.home).toBe(2);
  });

  test('include its override rows, whose table may be in other regions', () => {
    const sum = sumWriteUnits({
      region: 'eu-west-2',
      identities: table('identities', { indexes: [], indexKeys: [] }),
      overrideRows: table('rows', { ...inRegions('us-east-2'), indexes: [], indexKeys: [] }),
    });
    sum.add({ item: document, bytes: 300 }, [document, document]);
    expect(sum.units).toEqual({ 'eu-west-2/identities': 1, 'eu-west-2/rows': 2, 'us-east-2/rows': 2 });
    expect(sum.home).toBe(3);
  });
});
