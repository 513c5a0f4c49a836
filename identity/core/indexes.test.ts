import { createDatabase } from '@edge-migration/test/cluster/shared.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { execute } from '../fixtures/core-rows.ts';
import { type Core, openCore } from './core.ts';

const started = new AsyncDisposableStack();
let core: Core;
let databaseUrl: string;

beforeAll(async () => {
  const database = await createDatabase();
  started.defer(() => database.drop());
  databaseUrl = database.url;
  core = openCore({ databaseUrl }, { maxConnections: 1, applicationName: 'indexes-test' });
  started.defer(() => core.close());
});
afterAll(() => started.disposeAsync());

test("Flagsmith's own schema has every index that reads rely on", async () => {
  expect(await core.server.missingIndexes()).toEqual([]);
});

test('dropped indexes are named; one on other columns, or on some of the rows, is no substitute', async () => {
  await execute(
    databaseUrl,
    `DROP INDEX environments_trait_identity_id_144c9227;
     CREATE INDEX some_rows ON environments_trait (identity_id) WHERE identity_id > 7;
     CREATE INDEX the_other_way_round ON environments_trait (trait_key, identity_id)`,
  );
  expect(await core.server.missingIndexes()).toEqual(['environments_trait (identity_id)']);
});
