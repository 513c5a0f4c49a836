import { CONFIG_MAPS } from '@edge-migration/kubernetes/resources.ts';
import { useFake } from '@edge-migration/kubernetes/testing/fake.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { expect, test } from 'vitest';
import { migration } from '../testing/facts.ts';
import type { UsageSeries } from '../usage/series.ts';
import type { ActionContext } from './context.ts';
import { writeUsageSeries } from './usage-series.ts';

const fake = useFake([CONFIG_MAPS]);
const reference = { namespace: 'edge-migration', name: 'project-42-0a1b2c3d-still-on-core' };

const day = (date: string, writes: number): UsageSeries['days'][number] => ({
  date,
  known: 'all',
  writes,
  reads: 0,
  rows: [{ environment: 1, client: 'flagsmith-js-sdk/9.3.1', writes, reads: 0 }],
});

/** The resulting days of the series, and the version of the ConfigMap. */
async function write(days: UsageSeries['days'], most = 59): Promise<{ days: unknown; version: unknown }> {
  const context = { client: fake.client, namespace: 'edge-migration' } as ActionContext;
  const signal = new AbortController().signal;
  await writeUsageSeries(
    context,
    { migration: migration(), logger: createLogger('test', 'silent'), signal },
    days,
    most,
  );
  const object = await fake.client.get(CONFIG_MAPS, reference);
  const { 'series.json': text = '' } = (object?.['data'] ?? {}) as Record<string, string>;
  return { days: (JSON.parse(text) as UsageSeries).days, version: object?.metadata.resourceVersion };
}

test('the series of requests to Core keeps earlier days, drops days that are too old, and is not written twice', async () => {
  const [one, two, three] = [day('2026-11-01', 5), day('2026-11-02', 3), day('2026-11-03', 1)];
  expect((await write([one, two])).days).toEqual([one, two]);
  const grown = day('2026-11-02', 9);
  const { version, days } = await write([grown, three]);
  expect(days).toEqual([one, grown, three]);
  expect(await write([two, three])).toEqual({ days, version });
  expect((await write([three], 2)).days).toEqual([grown, three]);
});

test('a damaged series of requests is started again', async () => {
  await write([day('2026-11-01', 5)]);
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: reference, data: { 'series.json': '{"version":1' } };
  await fake.client.apply(CONFIG_MAPS, object, { fieldManager: 'someone', force: true });
  expect((await write([day('2026-11-02', 3)])).days).toEqual([day('2026-11-02', 3)]);
});
