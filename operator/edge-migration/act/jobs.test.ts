import { createLogger } from '@edge-migration/identity/logger.ts';
import { beforeEach, expect, test } from 'vitest';
import { useFake } from '../../kubernetes/testing/fake.ts';
import { objectNames } from '../api.ts';
import { workerTemplateSchema } from '../objects.ts';
import { CONFIG_MAPS, JOBS } from '../resources.ts';
import { migration } from '../testing/facts.ts';
import type { ActionContext } from './context.ts';
import { createJob } from './jobs.ts';

const fake = useFake([CONFIG_MAPS, JOBS]);
const namespace = 'edge-migration';
const names = objectNames(migration(), 'copy');

beforeEach(async () => {
  const metadata = { namespace, name: names.root };
  await fake.client.create(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata });
});

async function start(attempt: number): Promise<void> {
  const template = workerTemplateSchema.parse({ spec: { containers: [{ name: 'worker', image: 'worker' }] } });
  const settings = { namespace, template, verifyTemplate: template, pageMaxAgeSeconds: 30 };
  const context = { client: fake.client, ...settings } as ActionContext;
  const signal = new AbortController().signal;
  const target = { migration: migration(), operation: 'copy', logger: createLogger('test', 'silent'), signal } as const;
  await createJob(context, target, { attempt, rangeIds: [0, 1], parallelism: 2 });
}

const jobs = async () => (await fake.client.list(JOBS, { namespace })).items.map(({ metadata }) => metadata.name);

/** The Job of the first attempt says this of itself, as its controller writes it. */
async function endFirst(type: 'Complete' | 'Failed' | 'FailureTarget'): Promise<void> {
  const job = await fake.client.get(JOBS, { namespace, name: names.job(1) });
  await fake.client.update(JOBS, { ...job!, status: { conditions: [{ type, status: 'True' }] } });
}

test('no Job is created while the one before runs, whatever an old cache made of it', async () => {
  await start(1);
  await start(2);
  expect(await jobs()).toEqual([names.job(1)]);
});

test('no Job is created while the pods of one that is about to fail still end', async () => {
  await start(1);
  await endFirst('FailureTarget');
  await start(2);
  expect(await jobs()).toEqual([names.job(1)]);
});

test('no Job follows one of the same plan that ended well', async () => {
  await start(1);
  await endFirst('Complete');
  await start(2);
  expect(await jobs()).toEqual([names.job(1)]);
});

test('a Job follows one that has failed', async () => {
  await start(1);
  await endFirst('Failed');
  await start(2);
  expect(await jobs()).toEqual([names.job(1), names.job(2)]);
});

test('no Job is created for a plan that has been removed', async () => {
  await fake.client.delete(CONFIG_MAPS, { namespace, name: names.root });
  await start(1);
  expect(await jobs()).toEqual([]);
});
