import { execute, insertRows, ONE_PROJECT } from '@edge-migration/identity/fixtures/core-rows.ts';
import { createDatabase, type TestDatabase } from '@edge-migration/test/cluster/shared.ts';
import { keepEnvironmentHistory } from '@edge-migration/test/core/history.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { noteChanges, readChanges } from './changes.ts';
import { findExcuse } from './excuses.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
  await keepEnvironmentHistory(database.url);
  await insertRows(database.url, {
    ...ONE_PROJECT,
    environments_environment: [{ id: 1, api_key: 'former' }],
    environments_identity: [
      { id: 1, identifier: 'ada', environment_id: 1 },
      { id: 2, identifier: 'bob', environment_id: 1 },
    ],
    environments_trait: [{ id: 1, identity_id: 1, trait_key: 'plan', value_type: 'int', integer_value: 1 }],
  });
  await execute(database.url, "UPDATE environments_environment SET api_key = 'key'");
  await noteChanges(database.url);
});
afterAll(() => database.drop());

test("only writes inside a gap are excused, by the keys under which Core's changes may be stored", async () => {
  const began = Date.now();
  await execute(
    database.url,
    'UPDATE environments_trait SET integer_value = 2',
    "UPDATE environments_identity SET identifier = 'eve' WHERE id = 1",
    'DELETE FROM environments_trait',
    'DELETE FROM environments_identity WHERE id = 1',
  );
  const changes = await readChanges(database.url);
  expect(['key_ada', 'former_ada', 'key_eve', 'key_bob'].map((key) => changes.timesOf(key).length)).toEqual([
    2, 2, 3, 0,
  ]);

  const isExcused = (...args: Parameters<typeof findExcuse>) => findExcuse(...args) !== undefined;
  const at = (millis: number) => new Date(began + millis).toISOString();
  const gap = { from: at(-500), until: at(60_000), reason: 'streamLost' };
  const missing = { kind: 'missing', key: 'key_ada', detail: '' } as const;
  expect(isExcused(missing, [gap], changes)).toBe(true);
  expect(isExcused(missing, [{ ...gap, until: null }], changes)).toBe(true);
  expect(isExcused(missing, [], changes)).toBe(false);
  expect(isExcused(missing, [{ ...gap, from: at(60_000) }], changes)).toBe(false);
  expect(isExcused(missing, [{ ...gap, from: at(-90_000), until: at(-60_000) }], changes)).toBe(false);
  expect(isExcused({ ...missing, key: 'key_bob' }, [gap], changes)).toBe(false);
  expect(isExcused({ ...missing, kind: 'edge write lost' }, [gap], changes)).toBe(false);
  expect(isExcused({ ...missing, kind: 'edge row left' }, [gap], changes)).toBe(false);

  await execute(database.url, "UPDATE environments_environment SET name = 'other'");
  expect(isExcused({ ...missing, key: 'key_bob' }, [gap], await readChanges(database.url))).toBe(true);
});
