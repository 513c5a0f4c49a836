import { createDatabase, type TestDatabase } from '@edge-migration/test/cluster/shared.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { insertRows } from '../fixtures/core-rows.ts';
import { type Core, openCore } from './core.ts';

const DELETED = { deleted_at: '2026-01-01T00:00:00Z' };

let database: TestDatabase;
let core: Core;

beforeAll(async () => {
  database = await createDatabase();
  await insertRows(database.url, {
    organisations_organisation: [{ id: 1 }],
    projects_project: [{ id: 1 }, { id: 2 }, { id: 3, ...DELETED }],
    environments_environment: [
      { id: 1, project_id: 1, api_key: 'one' },
      { id: 2, project_id: 2, api_key: 'two' },
    ],
    environments_identity: [
      { id: 101, identifier: 'ada', environment_id: 1 },
      { id: 102, identifier: 'bob', environment_id: 2 },
    ],
    features_feature: [
      { id: 11, project_id: 1, name: 'of the first' },
      { id: 12, project_id: 1, name: 'deleted', ...DELETED },
      { id: 13, project_id: 1, name: 'of many states' },
      { id: 21, project_id: 2, name: 'of the second' },
      { id: 31, project_id: 3, name: 'of a deleted project' },
    ],
    multivariate_multivariatefeatureoption: [
      { id: 301, feature_id: 11, type: 'unicode' },
      { id: 331, feature_id: 31, type: 'unicode' },
    ],
    features_featurestate: [
      { id: 1, feature_id: 11, environment_id: 1, identity_id: 101, ...DELETED },
      { id: 2, feature_id: 21, environment_id: 2, identity_id: 102 },
      { id: 3, feature_id: 12, environment_id: 1 },
      // The environment has no own state of the first feature except one that was an override.
      { id: 4, feature_id: 11, environment_id: 1 },
      { id: 5, feature_id: 13, environment_id: 1 },
      { id: 6, feature_id: 13, environment_id: 1, identity_id: 101 },
      { id: 7, feature_id: 13, environment_id: 1, version: 2 },
      { id: 8, feature_id: 31, environment_id: 1, identity_id: 101, ...DELETED },
    ],
    multivariate_multivariatefeaturestatevalue: [
      { id: 1, feature_state_id: 2, multivariate_feature_option_id: 301, percentage_allocation: 100 },
      { id: 2, feature_state_id: 2, multivariate_feature_option_id: 331, percentage_allocation: 0 },
    ],
  });
  core = openCore({ databaseUrl: database.url }, { maxConnections: 1 });
});

afterAll(async () => {
  await core.close();
  await database.drop();
});

const OWN = { projectId: 1, featureId: 11 };
const FOREIGN = { projectId: 2, featureId: 21 };

test("a feature's places are identities with a present or past override of it, or with an option of it", async () => {
  expect(await core.features.places([11])).toEqual(expect.arrayContaining([OWN, FOREIGN]));
  expect(await core.features.places([21])).toEqual([FOREIGN]);
  expect(await core.features.places([12])).toEqual([]);
});

test("an option's places are the identities that hold it, and those of its feature", async () => {
  expect(await core.features.placesOfOption(301)).toEqual(expect.arrayContaining([OWN, FOREIGN]));
  expect(await core.features.placesOfOption(302)).toEqual([]);
});

test("a project's features include deleted ones, and none of other projects", async () => {
  expect(await core.features.ofProject(1)).toEqual([11, 12, 13]);
});

test('a deleted or missing project is reported as gone', async () => {
  expect(await core.projects.deleted([1, 3, 4])).toEqual([3, 4]);
});

test('features of deleted projects are found by the overrides of identities in the requested projects', async () => {
  const own = { projectId: 1, featureId: 31 };
  expect(await core.features.placesOfDeletedProjects([1])).toEqual([own]);
  expect(await core.features.placesOfDeletedProjects([1, 2, 3])).toEqual(expect.arrayContaining([own, FOREIGN]));
  expect(await core.features.placesOfDeletedProjects([3])).toEqual([]);
});

test('a feature state names its feature and identity, even if it is deleted', async () => {
  expect(await core.features.placeOfState(1)).toMatchObject({ featureId: 11, environmentId: 1, identityId: 101 });
  expect(await core.features.placeOfState(3)).toMatchObject({ featureId: 12, environmentId: 1, identityId: null });
  expect(await core.features.placeOfState(77)).toBeUndefined();
});

test.each([
  [1, false, "is an identity's"],
  [3, false, 'came with its feature'],
  [4, true, 'came after an override, and there is no other one'],
  [5, false, 'came with its feature, before overrides'],
  [7, false, 'is a later version'],
])("state %i of an environment's own may have been an override: %s, because it %s", async (id, may) => {
  expect(await core.features.placeOfState(id)).toMatchObject({ mayHaveBeenOverride: may });
});
