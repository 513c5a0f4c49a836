import { createHash } from 'node:crypto';
import type { WriteScope } from '@edge-migration/contract/write-scope.ts';
import { createDatabase, type TestDatabase } from '@edge-migration/test/cluster/shared.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { insertRows } from '../fixtures/core-rows.ts';
import { type Core, openCore } from './core.ts';

const DELETED = { deleted_at: '2026-01-01T00:00:00Z' };
const sha256 = (key: string) => createHash('sha256').update(key).digest('hex');

let database: TestDatabase;
let core: Core;

beforeAll(async () => {
  database = await createDatabase();
  await insertRows(database.url, {
    organisations_organisation: [{ id: 1 }, { id: 2 }],
    projects_project: [{ id: 10 }, { id: 20 }, { id: 30, ...DELETED }],
    environments_environment: [
      { id: 1, project_id: 10, api_key: 'ten' },
      { id: 2, project_id: 20, api_key: 'twenty', ...DELETED },
    ],
    environments_environmentapikey: [
      { id: 1, key: 'ser.ten', name: 'key', environment_id: 1, created_at: new Date(), active: false },
    ],
    environments_identity: [
      { id: 101, identifier: 'a', environment_id: 1 },
      { id: 102, identifier: 'b', environment_id: 2 },
    ],
    features_feature: [{ id: 7, project_id: 10, name: 'f' }],
    features_featurestate: [
      { id: 9001, feature_id: 7, environment_id: 2, identity_id: 102, ...DELETED },
      { id: 9002, feature_id: 7, environment_id: 1 },
    ],
  });
  core = openCore({ databaseUrl: database.url }, { maxConnections: 1 });
});

afterAll(async () => {
  await core.close();
  await database.drop();
});

test.each<[string, WriteScope, number[]]>([
  ['a client key', { clientKey: 'ten' }, [10]],
  ['the client key of a deleted environment', { clientKey: 'twenty' }, [20]],
  ['the hash of a server key, inactive ones included', { serverKeySha256: sha256('ser.ten') }, [10]],
  ['an environment', { environmentId: 1 }, [10]],
  ['a project, a deleted one included', { projectId: 30 }, [30]],
  ['an organisation, with its deleted projects', { organisationId: 1 }, [10, 20, 30]],
  ['an organisation without projects', { organisationId: 2 }, []],
  ['an identity', { identityId: 101 }, [10]],
  ['a feature, also to projects whose identities have overrides of it', { featureId: 7 }, [10, 20]],
  ['a feature state, a deleted one included', { featureStateId: 9001 }, [20]],
])('the scope of %s leads to its projects', async (_, scope, projects) => {
  const [found] = [...(await core.projects.ofScopes([scope])).values()];
  expect([...(found ?? [])].sort()).toEqual(projects);
});

test('a scope that Core does not know leads nowhere, and does not affect the others', async () => {
  const scopes: WriteScope[] = [{ clientKey: 'ten' }, { clientKey: 'never' }, { featureStateId: 1 }, { identityId: 1 }];
  expect(await core.projects.ofScopes(scopes)).toEqual(new Map([['clientKey:ten', new Set([10])]]));
});
