import type { Replication } from '@edge-migration/identity/edge/replication.ts';
import { EdgeRefusedError } from '@edge-migration/identity/edge/table/table.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { expect, test, vi } from 'vitest';
import { createReplicationView, summariseReplication } from './replication-view.ts';
import { condition, facts, next } from './testing/facts.ts';

const global = (changes: Partial<Extract<Replication, { kind: 'GlobalTable' }>> = {}): Replication => ({
  kind: 'GlobalTable',
  consistency: 'Eventual',
  version: '2019.11.21',
  replicas: [{ region: 'us-east-2', status: 'ACTIVE' }],
  witness: undefined,
  ...changes,
});
const table = (replication: Replication) => ({ replication, region: 'eu-west-2' });
const SINGLE = { kind: 'SingleRegion' } as const;

test('tables that differ are reported with the weaker consistency and the regions of either', () => {
  expect(summariseReplication([table(SINGLE), table(global())])).toEqual({
    consistency: 'Eventual',
    regions: ['eu-west-2', 'us-east-2'],
  });
  expect(summariseReplication([table(SINGLE), table(SINGLE)])).toEqual({
    consistency: 'SingleRegion',
    regions: ['eu-west-2'],
  });
});

test('the order in which DynamoDB lists replicas changes nothing', () => {
  const ireland = { region: 'eu-west-1', status: 'CREATING' };
  const ohio = { region: 'us-east-2', status: 'DELETING' };
  const expected = {
    consistency: 'Eventual',
    regions: ['eu-west-2', 'eu-west-1', 'us-east-2'],
    inactiveReplicas: ['eu-west-1 (CREATING)', 'us-east-2 (DELETING)'],
  };
  for (const replicas of [
    [ireland, ohio],
    [ohio, ireland],
  ])
    expect(summariseReplication([table(global({ replicas }))])).toEqual(expected);
});

test('the legacy version is reported, as is a missing right to read the version', () => {
  expect(summariseReplication([table(global({ version: '2017.11.29' }))])).toMatchObject({ legacyVersion: true });
  expect(summariseReplication([table({ ...SINGLE, isUnsure: true })])).toMatchObject({ consistency: 'Unknown' });
});

test('an inactive replica is named, and blocks nothing', () => {
  const replication = summariseReplication([
    table(global({ replicas: [{ region: 'us-east-2', status: 'REGION_DISABLED' }] })),
  ]);
  expect(replication.inactiveReplicas).toEqual(['us-east-2 (REGION_DISABLED)']);
  const { migration } = next(facts({ replication }), 0);
  expect(condition(migration.status, 'Accepted')).toBe('True/Accepted');
  expect(condition(migration.status, 'Degraded')).toBe('True/ReplicaInactive');
  expect(migration.status.edge).toEqual(replication);
});

test('the last known regions stay in the status while they cannot be read', () => {
  const replication = summariseReplication([table(global())]);
  const known = next(facts({ replication }), 0);
  expect(next({ ...known, replication: undefined }, 1000).migration.status.edge).toEqual(replication);
});

test('a failed check of the regions is followed by another one, and logged once', async () => {
  const ending = new AbortController();
  const described = { identities: table(global()), overrideRows: undefined };
  const describe = vi
    .fn()
    .mockRejectedValueOnce(new EdgeRefusedError('refused'))
    .mockRejectedValueOnce(new EdgeRefusedError('refused'))
    .mockResolvedValue(described);
  const warn = vi.fn();
  const clock = {
    ...systemClock,
    sleep: async () => {
      if (view.now() !== undefined) ending.abort();
    },
  };
  const view = createReplicationView({ describe }, { clock, logger: { warn, info: vi.fn() } });
  await view.run(ending.signal);
  expect(view.now()).toMatchObject({ consistency: 'Eventual' });
  expect(warn).toHaveBeenCalledTimes(1);
});
