import { createDatabase, type TestDatabase } from '@edge-migration/test/cluster/shared.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { insertRows } from '../fixtures/core-rows.ts';
import { type Core, openCore } from './core.ts';

const DELETED = { deleted_at: '2024-06-01T00:00:00Z' };

let database: TestDatabase;
let core: Core;

beforeAll(async () => {
  database = await createDatabase();
  await insertRows(database.url, {
    organisations_organisation: [{ id: 1 }, { id: 2, persist_trait_data: false }],
    projects_project: [
      { id: 1, name: 'live' },
      { id: 2, name: 'gone', organisation_id: 2, ...DELETED },
    ],
    environments_environment: [
      { id: 3, name: 'production', api_key: 'k3', use_v2_feature_versioning: true },
      { id: 1, name: 'development', api_key: 'k1', allow_client_traits: false },
      { id: 2, name: 'old', api_key: 'k2', ...DELETED },
      { id: 4, name: 'of another project', api_key: 'k4', project_id: 2 },
    ],
    environments_identity: [1, 1, 1, 3, 4].map((environment_id, id) => ({ id, identifier: `${id}`, environment_id })),
  });
  core = openCore({ databaseUrl: database.url }, { maxConnections: 1 });
});

afterAll(async () => {
  await core.close();
  await database.drop();
});

test('a project comes with its live environments, by id', async () => {
  expect(await core.projects.get(1)).toEqual({
    id: 1,
    name: 'live',
    deleted: false,
    organisation: { id: 1, persistTraitData: true },
    environments: [
      { id: 1, name: 'development', apiKey: 'k1', allowClientTraits: false, useV2FeatureVersioning: false },
      { id: 3, name: 'production', apiKey: 'k3', allowClientTraits: true, useV2FeatureVersioning: true },
    ],
  });
});

test('a deleted project is marked, and keeps environments that its background task has not reached', async () => {
  expect(await core.projects.get(2)).toMatchObject({
    deleted: true,
    organisation: { persistTraitData: false },
    environments: [{ id: 4 }],
  });
});

test('an unknown project is undefined', async () => {
  expect(await core.projects.get(3)).toBeUndefined();
});

test("an environment's identities are counted", async () => {
  expect(await Promise.all([1, 3, 2].map((id) => core.identities.count(id)))).toEqual([3, 1, 0]);
});
