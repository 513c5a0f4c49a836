import { describe, expect, test } from 'vitest';
import { describeReplication, findGuarantees, findInactiveReplicas, parseReplication } from './replication.ts';

const active = (RegionName: string) => ({ RegionName, ReplicaStatus: 'ACTIVE' });
const strong = {
  GlobalTableVersion: '2019.11.21',
  MultiRegionConsistency: 'STRONG',
  Replicas: [active('us-west-2')],
  GlobalTableWitnesses: [{ RegionName: 'us-east-1', WitnessStatus: 'CREATING' }],
};

describe('parseReplication', () => {
  test('a table without replicas is in a single region, even if it has lost its last replica', () => {
    expect(parseReplication({ TableName: 'identities' })).toEqual({ kind: 'SingleRegion' });
    expect(parseReplication({ GlobalTableVersion: '2019.11.21', Replicas: [] })).toEqual({ kind: 'SingleRegion' });
  });

  test('a table with replicas has eventual consistency unless it is described as strong', () => {
    const Replicas = [active('us-east-2'), { RegionName: 'ap-south-1', ReplicaStatus: 'REGION_DISABLED' }];
    const eventual = {
      kind: 'GlobalTable',
      consistency: 'Eventual',
      version: '2019.11.21',
      replicas: [
        { region: 'us-east-2', status: 'ACTIVE' },
        { region: 'ap-south-1', status: 'REGION_DISABLED' },
      ],
      witness: undefined,
    };
    const description = { GlobalTableVersion: '2019.11.21', Replicas };
    for (const mode of [undefined, 'EVENTUAL', 'SOMETHING_NEW']) {
      expect(parseReplication({ ...description, MultiRegionConsistency: mode })).toEqual(eventual);
    }
  });

  test('strong consistency and the witness are detected', () => {
    expect(parseReplication(strong)).toEqual({
      kind: 'GlobalTable',
      consistency: 'Strong',
      version: '2019.11.21',
      replicas: [{ region: 'us-west-2', status: 'ACTIVE' }],
      witness: { region: 'us-east-1', status: 'CREATING' },
    });
  });

  test('an answer in another form does not count as a single region', () => {
    expect(() => parseReplication({ Replicas: 'us-west-2' })).toThrow();
    expect(() => parseReplication({ Replicas: [{ ReplicaStatus: 'ACTIVE' }] })).toThrow();
  });
});

test('describeReplication names the regions, and the status of those that are not active', () => {
  expect(describeReplication(parseReplication({}), 'eu-west-2')).toBe('in eu-west-2 only');
  expect(describeReplication(parseReplication(strong), 'us-east-2')).toBe(
    'global table with strong consistency in us-east-2, us-west-2, witness us-east-1 (CREATING)',
  );
});

test('describeReplication names the missing right if the legacy version cannot be determined', () => {
  expect(describeReplication({ kind: 'SingleRegion', isUnsure: true }, 'eu-west-2')).toContain(
    'dynamodb:DescribeGlobalTable',
  );
});

describe('findGuarantees', () => {
  const eventual = parseReplication({ Replicas: [{ RegionName: 'us-west-2' }] });

  test('tables in a single region have all guarantees', () => {
    expect(findGuarantees([parseReplication({}), parseReplication({})])).toEqual({ transactions: true, final: true });
  });

  test('several tables have only the guarantees of the weakest of them', () => {
    expect(findGuarantees([parseReplication({}), eventual])).toEqual({ transactions: true, final: false });
    expect(findGuarantees([parseReplication({}), parseReplication(strong)])).toEqual({
      transactions: false,
      final: true,
    });
  });

  test('a write does not count as final if the replication is unknown', () => {
    expect(findGuarantees([undefined])).toEqual({ transactions: true, final: false });
    expect(findGuarantees([{ kind: 'SingleRegion', isUnsure: true }])).toEqual({ transactions: true, final: false });
  });
});

test('findInactiveReplicas finds replicas and witnesses that are not active, and none in a single region', () => {
  expect(findInactiveReplicas(parseReplication(strong))).toEqual([{ region: 'us-east-1', status: 'CREATING' }]);
  expect(findInactiveReplicas(parseReplication({}))).toEqual([]);
});
