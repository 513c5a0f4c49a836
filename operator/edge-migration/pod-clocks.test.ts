import { LABELS } from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesObject } from '@edge-migration/kubernetes/client.ts';
import { expect, test } from 'vitest';
import { parseConfigMap } from './parse.ts';
import { createPodClocks } from './pod-clocks.ts';
import type { Sources } from './sources.ts';
import { job } from './testing/facts.ts';

const NOON = Date.parse('2026-05-04T12:00:00Z');
const iso = (time: number) => new Date(time).toISOString();

/** A checkpoint that the API server accepted at this second. */
function checkpoint(instance: string, updatedTime: string, savedTime: number): KubernetesObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      namespace: 'edge-migration',
      name: `range-of-${instance}`,
      uid: 'uid',
      resourceVersion: '1',
      labels: { [LABELS.migrationUid]: 'uid-1', [LABELS.component]: 'copy', [LABELS.managedBy]: 'edge-migration' },
      annotations: { 'edge.flagsmith.com/migration': 'customers/project-42' },
      managedFields: [{ manager: 'worker', time: iso(savedTime).replace('.000Z', 'Z') }],
    },
    data: { checkpoint: JSON.stringify({ instance, updatedTime }) },
  };
}

function sources(outcome: 'active' | 'complete', ...objects: KubernetesObject[]) {
  return {
    jobs: { byIndex: () => [{ fact: job({ outcome }) }] },
    configMaps: { byIndex: () => objects.map(parseConfigMap) },
  } as unknown as Pick<Sources, 'jobs' | 'configMaps'>;
}

test('a copy pod with a wrong clock is named from its second checkpoint on, while pods work', () => {
  const { observe } = createPodClocks();
  const track = (outcome: 'active' | 'complete', time: number, ahead: number) =>
    observe(sources(outcome, checkpoint('worker-1', iso(time + ahead + 300), time)), { uid: 'uid-1' });
  expect(track('active', NOON, 300_000)).toEqual([]);
  expect(track('active', NOON, 300_000)).toEqual([]);
  expect(track('active', NOON + 5_000, 300_000)).toEqual([{ process: 'pod worker-1', ahead: 300_300 }]);
  expect(track('complete', NOON + 5_000, 300_000)).toEqual([]);
});

test('a checkpoint that took long to save does not make its clock count as slow', () => {
  const { observe } = createPodClocks();
  const track = (saved: number, updated: number) =>
    observe(sources('active', checkpoint('worker-1', iso(updated), saved)), { uid: 'uid-1' });
  track(NOON, NOON - 30_000);
  expect(track(NOON + 5_000, NOON + 5_200)).toEqual([{ process: 'pod worker-1', ahead: 200 }]);
});
