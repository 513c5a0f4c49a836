import type { UnstorableIdentity } from '@edge-migration/contract/parked-place.ts';
import { CONFIG_MAPS } from '@edge-migration/kubernetes/resources.ts';
import { useFake } from '@edge-migration/kubernetes/testing/fake.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { expect, test } from 'vitest';
import { migration } from '../testing/facts.ts';
import type { ActionContext } from './context.ts';
import { writeUnstorableReport } from './unstorable-report.ts';

const fake = useFake([CONFIG_MAPS]);

async function write(identities: readonly UnstorableIdentity[]): Promise<Record<string, string>> {
  const context = { client: fake.client, namespace: 'edge-migration' } as ActionContext;
  const target = {
    migration: migration(),
    logger: createLogger('test', 'silent'),
    signal: new AbortController().signal,
  };
  await writeUnstorableReport(context, target, identities);
  const name = 'project-42-0a1b2c3d-unstorable';
  return ((await fake.client.get(CONFIG_MAPS, { namespace: 'edge-migration', name }))?.['data'] ?? {}) as Record<
    string,
    string
  >;
}

test('the report names each identity by its ids with the reason and the remedy, and is empty once none is left', async () => {
  const first = await write([
    { environmentId: 3, identityId: 7, cause: 'KeyTakenByAnother' },
    { environmentId: 3, identityId: 8, cause: 'NumberTooPrecise' },
  ]);
  expect(
    first['unstorable.jsonl']
      ?.trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([
    { environmentId: 3, identityId: 7, reason: 'KeyTakenByAnother' },
    { environmentId: 3, identityId: 8, reason: 'NumberTooPrecise' },
  ]);
  expect(first['reasons.txt']).toMatch(/^KeyTakenByAnother: .*Rename.*\nNumberTooPrecise: .*38 significant digits/);
  expect(first['lines']).toBe('2');
  expect(await write([])).toEqual({ 'unstorable.jsonl': '', 'reasons.txt': '', lines: '0' });
});

test('the report counts the identities that do not fit into a ConfigMap', async () => {
  const identities = Array.from({ length: 20_000 }, (_, identityId) => ({
    environmentId: 3,
    identityId,
    cause: 'DocumentTooLarge',
  }));
  const data = await write(identities);
  expect(Number(data['lines']) + Number(data['truncated'])).toBe(20_000);
  expect(Buffer.byteLength(JSON.stringify(data))).toBeLessThan(2 ** 20);
});
