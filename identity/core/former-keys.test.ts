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

test("Core's history tells whose every earlier key was, and that another was nobody's", async () => {
  await rename('second');
  await rename('third');
  const owners = await core.environments.formerOwners(['client-key', 'invented', 'second'], [1]);
  const environment = { kind: 'environment', environmentId: 1 };
  expect(owners).toEqual([environment, { kind: 'none' }, environment]);
});

test('where the beginning of a history is missing, nobody can say of a key whose it was', async () => {
  await execute(database.url, "DELETE FROM environments_historicalenvironment WHERE history_type = '+'");
  const owners = await core.environments.formerOwners(['client-key', 'second'], [1]);
  expect(owners).toEqual([{ kind: 'unknown' }, { kind: 'environment', environmentId: 1 }]);
  // Of projects that are not migrated nothing is asked.
  expect(await core.environments.formerOwners(['client-key'], [])).toEqual([{ kind: 'none' }]);
});

test('a release that keeps no history knows none', async () => {
  await execute(
    database.url,
    'DROP TRIGGER keep_environment ON environments_environment',
    'DROP TABLE environments_historicalenvironment',
  );
  await core.server.release();
  expect(await core.environments.formerOwners(['second'], [1])).toEqual([{ kind: 'unknown' }]);
});
