import { objectNames } from '@edge-migration/contract/edge-migration/api.ts';
import { CONFIG_MAPS, JOBS } from '@edge-migration/kubernetes/resources.ts';
import { useFake } from '@edge-migration/kubernetes/testing/fake.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { beforeEach, expect, test } from 'vitest';
import { workerTemplateSchema } from '../objects.ts';
import { migration } from '../testing/facts.ts';
import type { ActionContext } from './context.ts';
import { createJob } from './jobs.ts';

const fake = useFake([CONFIG_MAPS, JOBS]);
const namespace = 'edge-migration';
const names = objectNames(migration(), 'copy');

let root: string;

beforeEach(async () => {
  const metadata = { namespace, name: names.root };
  const { uid = '' } = (await fake.client.create(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata }))
    .metadata;
  root = uid;
});

async function start(attempt: number): Promise<void> {
  const template = workerTemplateSchema.parse({ spec: { containers: [{ name: 'worker', image: 'worker' }] } });
  const settings = { namespace, template, verifyTemplate: template, pageMaxAgeSeconds: 30, lateWriteSeconds: 65 };
  const context = { client: fake.client, ...settings } as ActionContext;
  const signal = new AbortController().signal;
  const target = { migration: migration(), operation: 'copy', logger: createLogger('test', 'silent'), signal } as const;
  await createJob(context, target, { attempt, rangeIds: [0, 1], parallelism: 2 });
}

const jobs = async () => (await fake.client.list(JOBS, { namespace })).items.map(({ metadata }) => metadata.name);

/** Status of the first attempt's Job, as its controller writes it. */
async function endFirst(type: 'Complete' | 'Failed' | 'FailureTarget'): Promise<void> {
  const job = await fake.client.get(JOBS, { namespace, name: names.job(1) });
  await fake.client.update(JOBS, { ...job!, status: { conditions: [{ type, status: 'True' }] } });
}

test('no Job is created while the previous one runs, even if a stale cache says otherwise', async () => {
  await start(1);
  await start(2);
  expect(await jobs()).toEqual([names.job(1)]);
});

test('no Job is created while the pods of a failing Job are still ending', async () => {
  await start(1);
  await endFirst('FailureTarget');
  await start(2);
  expect(await jobs()).toEqual([names.job(1)]);
});

/** Saved as by the worker of a range. */
async function saveCheckpoint(rangeId: number, finished: boolean, rootUid = root): Promise<void> {
  const totals = { positions: [], updatedTime: '2026-05-04T12:00:00Z', instance: 'worker', identitiesPerSecond: 0 };
  const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: names.root, uid: rootUid };
  await fake.client.create(CONFIG_MAPS, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { namespace, name: `${names.checkpointPrefix}-${rangeId}`, ownerReferences: [owner] },
    data: { checkpoint: JSON.stringify({ rangeId, finished, ...totals }) },
  });
}

test('no Job is created for finished ranges, even if a stale cache shows them as unfinished', async () => {
  await start(1);
  await endFirst('Complete');
  await saveCheckpoint(0, true);
  await saveCheckpoint(1, true);
  await start(2);
  expect(await jobs()).toEqual([names.job(1)]);
});

test.each([
  ['was removed', async () => {}],
  ['does not say that its range is done', () => saveCheckpoint(1, false)],
  ['is of a plan that was removed', () => saveCheckpoint(1, true, 'another-uid')],
])('a new Job follows a successful one if a checkpoint %s', async (_, save) => {
  await start(1);
  await endFirst('Complete');
  await saveCheckpoint(0, true);
  await save();
  await start(2);
  expect(await jobs()).toEqual([names.job(1), names.job(2)]);
});

test('a new Job follows a failed one', async () => {
  await start(1);
  await endFirst('Failed');
  await start(2);
  expect(await jobs()).toEqual([names.job(1), names.job(2)]);
});

test('no Job is created for a removed plan', async () => {
  await fake.client.delete(CONFIG_MAPS, { namespace, name: names.root });
  await start(1);
  expect(await jobs()).toEqual([]);
});
