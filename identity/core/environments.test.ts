import { createHash } from 'node:crypto';
import { createDatabase, type TestDatabase } from '@edge-migration/test/cluster/shared.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { insertRows } from '../fixtures/core-rows.ts';
import { type Core, openCore } from './core.ts';
import { referenceName } from './environments.ts';

let database: TestDatabase;
let core: Core;

/** Backslashes and letters beyond ASCII: a key treats neither specially. */
const SERVER_KEY = 'ser.\\x41ü';
const serverKeySha256 = createHash('sha256').update(SERVER_KEY).digest('hex');

beforeAll(async () => {
  database = await createDatabase();
  await insertRows(database.url, {
    organisations_organisation: [{ id: 1, persist_trait_data: false, stop_serving_flags: false }],
    projects_project: [{ id: 1 }],
    environments_environment: [
      { id: 1, api_key: 'live', allow_client_traits: false },
      { id: 2, api_key: 'deleted', deleted_at: '2026-01-01T00:00:00Z' },
    ],
    environments_environmentapikey: [
      { id: 1, key: SERVER_KEY, name: 'key', environment_id: 1, created_at: new Date(), active: false },
    ],
    environments_identity: ['a', 'b', 'c'].map((identifier, index) => ({
      id: index + 1,
      identifier,
      environment_id: 1,
    })),
    features_featurestate: [
      { id: 1, feature_id: 9, identity_id: 2 },
      { id: 2, feature_id: 9, identity_id: 3, deleted_at: '2026-01-01T00:00:00Z' },
      { id: 3, feature_id: 9, identity_id: 3 },
      { id: 4, feature_id: 8, identity_id: 1 },
      { id: 5, feature_id: 9 },
    ],
  });
  core = openCore({ databaseUrl: database.url }, { maxConnections: 1 });
});

afterAll(async () => {
  await core.close();
  await database.drop();
});

describe('the environment that a reference names', () => {
  test.each([
    ['client key', { clientKey: 'live' }, 1, false],
    ['id', { environmentId: 1 }, 1, false],
    ['hash of a server key, whether or not it is active', { serverKeySha256 }, 1, false],
    ['client key of a deleted one', { clientKey: 'deleted' }, 2, true],
  ])('an environment is found by %s', async (_, reference, id, deleted) => {
    const found = await core.environments.find([reference]);
    expect(found.get(referenceName(reference))).toMatchObject({ environment: { id }, deleted, projectId: 1 });
  });

  test('an environment comes with the settings that decide whether Core stores traits', async () => {
    const found = await core.environments.find([{ clientKey: 'live' }]);
    expect(found.get('c:live')).toMatchObject({ persistTraitData: false, environment: { allowClientTraits: false } });
  });

  test('an environment is not found by unknown references', async () => {
    const references = [{ clientKey: 'nobody' }, { environmentId: 3 }, { serverKeySha256: '0'.repeat(64) }];
    expect(await core.environments.find(references)).toEqual(new Map());
  });
});

test("a project's environments include deleted ones", async () => {
  expect(await core.environments.ofProject(1)).toEqual([1, 2]);
});

test('identities are found by id; ids beyond 32 bits match none', async () => {
  expect(await core.identities.places([2, 99, 2 ** 40])).toEqual(new Map([[2, { environmentId: 1, identifier: 'b' }]]));
});

test('identifiers are read page by page', async () => {
  expect(await core.identities.identifiers({ environmentId: 1, after: null, limit: 2 })).toEqual(['a', 'b']);
  expect(await core.identities.identifiers({ environmentId: 1, after: 'b', limit: 2 })).toEqual(['c']);
  expect(await core.identities.present(1, ['b', 'z'])).toEqual(new Set(['b']));
});

test('identities that have or had an override of a feature are listed once each', async () => {
  expect(await core.identities.overriding({ featureId: 9, projectId: 1, after: 0, limit: 10 })).toEqual([2, 3]);
  expect(await core.identities.overriding({ featureId: 9, projectId: 2, after: 0, limit: 10 })).toEqual([]);
  expect(await core.identities.overriding({ featureId: 9, projectId: 1, after: 2, limit: 10 })).toEqual([3]);
});
