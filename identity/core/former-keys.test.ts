import { createDatabase, type TestDatabase } from '@edge-migration/test/cluster/shared.ts';
import { keepEnvironmentHistory } from '@edge-migration/test/core/history.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { execute, insertRows, ONE_PROJECT } from '../fixtures/core-rows.ts';
import { type Core, openCore } from './core.ts';

let database: TestDatabase;
let core: Core;

beforeAll(async () => {
  database = await createDatabase();
  await keepEnvironmentHistory(database.url);
  await insertRows(database.url, {
    ...ONE_PROJECT,
    environments_environment: [{ id: 1, project_id: 1, api_key: 'client-key' }],
  });
  core = openCore({ databaseUrl: database.url }, { maxConnections: 1 });
});
afterAll(async () => {
  await core?.close();
  await database?.[Symbol.asyncDispose]();
});

const rename = (key: string) =>
  execute(database.url, `UPDATE environments_environment SET api_key = '${key}' WHERE id = 1`);

test("Core's history names the owner of every former key, and shows that another key had none", async () => {
  await rename('second');
  await rename('third');
  const owners = await core.environments.formerOwners(['client-key', 'invented', 'second'], [1]);
  const environment = { kind: 'environment', environmentId: 1 };
  expect(owners).toEqual([environment, { kind: 'none' }, environment]);
});

test('the owner of a key is unknown if the beginning of a history is missing', async () => {
  await execute(database.url, "DELETE FROM environments_historicalenvironment WHERE history_type = '+'");
  const owners = await core.environments.formerOwners(['client-key', 'second'], [1]);
  expect(owners).toEqual([{ kind: 'unknown' }, { kind: 'environment', environmentId: 1 }]);
  // Projects that are not migrated are not queried.
  expect(await core.environments.formerOwners(['client-key'], [])).toEqual([{ kind: 'none' }]);
});

test('a release without a history knows no owners of keys', async () => {
  await execute(
    database.url,
    'DROP TRIGGER keep_environment ON environments_environment',
    'DROP TABLE environments_historicalenvironment',
  );
  await core.server.release();
  expect(await core.environments.formerOwners(['second'], [1])).toEqual([{ kind: 'unknown' }]);
});
