import { driftCollation } from '@edge-migration/test/core/drift.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { converge } from './converge.ts';
import { CoreUnsupportedError } from './core/errors.ts';
import { EVERYTHING } from './edge/merge.ts';
import { execute, insertRows } from './fixtures/core-rows.ts';
import { createStores, type TestStores } from './testing/stores.ts';

const signal = new AbortController().signal;
const NAMES = Array.from({ length: 60 }, (_, index) => `${'aBc'[index % 3]}-${index}`);

let on: TestStores;

beforeAll(async () => {
  on = await createStores();
  const identities = NAMES.map((identifier, index) => ({ id: 100 + index, identifier, environment_id: 1 }));
  await insertRows(on.databaseUrl, { environments_identity: identities });
});
afterAll(() => on[Symbol.asyncDispose]());

const run = (identifier: string) =>
  converge(on.stores, { environment: on.environment, identifier }, EVERYTHING, signal).then(
    ({ outcome }) => outcome,
    (error: unknown) => error,
  );
const count = async () => (await on.tables.scan()).length;

test('an identity that the index misses keeps its document, and a deleted one loses it', async () => {
  for (const name of NAMES) expect(await run(name)).toBe('inserted');
  const before = await count();
  await driftCollation(on.databaseUrl);
  const outcomes = await Promise.all(NAMES.map(run));
  const refused = outcomes.filter((outcome) => outcome instanceof CoreUnsupportedError);
  expect(refused.length).toBeGreaterThan(0);
  expect(String(refused[0])).toMatch(/finds identity 1\d\d of environment 1 by its id.+REINDEX/s);
  expect(outcomes.filter((outcome) => !(outcome instanceof CoreUnsupportedError))).toEqual(
    Array.from({ length: NAMES.length - refused.length }, () => 'unchanged'),
  );
  expect(await count()).toBe(before);

  await execute(
    on.databaseUrl,
    'REINDEX TABLE environments_identity; DELETE FROM environments_identity WHERE id = 100',
  );
  expect(await run(NAMES[0]!)).toBe('deleted');
  expect(await run(NAMES[1]!)).toBe('unchanged');
});
