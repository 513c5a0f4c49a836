import { LABELS, objectNames } from '@edge-migration/contract/edge-migration/api.ts';
import { createFakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { expect, test } from 'vitest';
import { checkpointSchema, parseCheckpoint } from '../copy/checkpoint.ts';
import { observeOperation } from './operation-facts.ts';
import { parseConfigMap } from './parse.ts';
import type { Sources } from './sources.ts';
import { migration } from './testing/facts.ts';

const names = objectNames(migration(), 'copy');

const configMap = (name: string, uid: string, owners: string[], data: Record<string, string>) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: {
    ...{ namespace: 'edge-migration', name, uid },
    labels: { [LABELS.migrationUid]: migration().uid, [LABELS.component]: 'copy' },
    ownerReferences: owners.map((owner) => ({ apiVersion: 'v1', kind: 'ConfigMap', name: names.root, uid: owner })),
  },
  data,
});

/** Whether a checkpoint with these owners counts for the plan of the present root. */
function counts(...owners: string[]): boolean {
  const checkpoint = checkpointSchema.parse({
    ...{ rangeId: 0, positions: [], finished: true, instance: 'pod', identitiesPerSecond: 0 },
    updatedTime: '2026-05-04T12:00:00Z',
  });
  const maps = [
    configMap(names.root, 'present', [], {}),
    configMap('range-0', 'range-0', owners, { checkpoint: JSON.stringify(checkpoint) }),
  ].map(parseConfigMap);
  const nothing = { byIndex: () => [] };
  const sources = { jobs: nothing, pods: nothing, configMaps: { byIndex: () => maps }, clock: createFakeClock() };
  const facts = observeOperation(sources as unknown as Sources, migration(), 'copy', parseCheckpoint);
  return facts.checkpoints.length === 1;
}

test('a checkpoint counts for the plan that owns it, even while it still names the previous plan', () => {
  expect(counts('present')).toBe(true);
  expect(counts('before', 'present')).toBe(true);
  expect(counts('present', 'before')).toBe(true);
});

test('a checkpoint that only the previous plan owns does not count', () => {
  expect(counts('before')).toBe(false);
});
