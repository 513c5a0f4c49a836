import { type Core, openCore } from '@edge-migration/identity/core/core.ts';
import { createServingTables, type ServingSettings } from '@edge-migration/identity/edge/serving-tables.ts';
import { connectToEdge, type EdgeConnection } from '@edge-migration/identity/edge/table/connection.ts';
import { execute, insertRows } from '@edge-migration/identity/fixtures/core-rows.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { createFakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { createDatabase, dynamodb, type TestDatabase } from '@edge-migration/test/cluster/shared.ts';
import { createServingTestTables, type ServingTestTables } from '@edge-migration/test/edge/serving-tables.ts';
import { createTables, type TestTables } from '@edge-migration/test/edge/tables.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { isComplete, type ReadinessFact } from './facts.ts';
import { createReadinessView } from './view.ts';

const signal = new AbortController().signal;
const AGAIN = 60_000;
const GONE = { deleted_at: '2024-06-01T00:00:00Z' };

let database: TestDatabase;
let tables: TestTables;
let serving: ServingTestTables;
let connection: EdgeConnection;
let core: Core;
let projectId = 100;

beforeAll(async () => {
  database = await createDatabase();
  await insertRows(database.url, { organisations_organisation: [{ id: 1 }] });
  const access = await dynamodb();
  tables = await createTables(access);
  serving = await createServingTestTables(access);
  connection = connectToEdge(tables.settings, { credentials: access.credentials });
  core = openCore({ databaseUrl: database.url }, { maxConnections: 2 });
});

afterAll(async () => {
  connection.close();
  await core.close();
  await serving[Symbol.asyncDispose]();
  await tables.drop();
  await database.drop();
});

/** The project of one test: two live environments and a deleted one; server keys of the first. */
const place = (offset: number) => ({ id: projectId + offset, apiKey: `client-${projectId + offset}`, projectId });
const serverKey = (name: string) => `ser.${name}-${projectId}`;

beforeEach(async () => {
  projectId += 10;
  await insertRows(database.url, {
    projects_project: [{ id: projectId, enable_dynamo_db: true, identity_overrides_v2_migration_status: 'COMPLETE' }],
    environments_environment: [0, 1, 2].map((offset) => ({
      id: projectId + offset,
      project_id: projectId,
      api_key: place(offset).apiKey,
      name: ['Production', 'Staging', 'Old'][offset],
      ...(offset === 2 ? GONE : {}),
    })),
    environments_environmentapikey: [
      { active: true },
      { active: false },
      { active: true, expires_at: '2020-01-01T00:00:00Z' },
    ].map((changes, index) => ({
      id: projectId + index,
      key: serverKey(String(index)),
      name: 'server',
      environment_id: projectId,
      created_at: '2020-01-01T00:00:00Z',
      expires_at: null,
      ...changes,
    })),
  });
});

/** Writes all that Flagsmith's own migrations write for the project. */
async function handOver({ compressed = false } = {}) {
  for (const offset of [0, 1]) {
    await serving.putDocument({ ...place(offset), compressed });
    await serving.putMeta(tables.settings.environmentsV2Table, { ...place(offset), compressed });
  }
  await serving.putServerKey(serverKey('0'), place(0).apiKey);
}

const all = (): ServingSettings => ({
  ...serving.settings,
  environmentsV2Table: tables.settings.environmentsV2Table,
});

function createView(names: ServingSettings, clock: Clock = createFakeClock()) {
  return createReadinessView({ core, tables: createServingTables(connection, names), clock, againMs: AGAIN });
}

async function observe(names = all()) {
  const fact = await createView(names).read(projectId, signal);
  if (fact.kind !== 'observed') throw new Error(JSON.stringify(fact));
  return fact;
}

describe('what Edge lacks of a project', () => {
  test('is every live environment, its _META row and each server key in use, before anything is handed over', async () => {
    const fact = await observe();
    const environments = [
      { id: projectId, name: 'Production' },
      { id: projectId + 1, name: 'Staging' },
    ];
    expect(fact).toMatchObject({ environments: 2, serverKeys: 1 });
    expect(fact.missing).toEqual({
      documents: environments,
      metaRows: environments,
      serverKeys: [{ ...environments[0], keyId: projectId }],
    });
  });

  test.for([{ compressed: false }, { compressed: true }])(
    'is nothing once Flagsmith has written everything, %o',
    async (form) => {
      await handOver(form);
      const fact = await observe();
      expect(fact.missing).toEqual({ documents: [], metaRows: [], serverKeys: [] });
      expect(isComplete(fact)).toBe(true);
    },
  );

  test('is nothing for a table that is not configured', async () => {
    const { environmentsTable } = serving.settings;
    for (const offset of [0, 1]) await serving.putDocument(place(offset));
    const fact = await observe({ environmentsTable });
    expect(fact).toMatchObject({ keepsMeta: undefined, tables: { environments: environmentsTable } });
    expect(isComplete(fact)).toBe(true);
  });

  test('is a document under a key that now belongs to another environment', async () => {
    await handOver();
    await serving.putDocument({ ...place(1), id: 99_999 });
    expect((await observe()).missing.documents).toEqual([{ id: projectId + 1, name: 'Staging' }]);
  });

  test('is a document that was deleted', async () => {
    await handOver();
    await serving.removeDocument(place(0).apiKey);
    expect((await observe()).missing.documents).toEqual([{ id: projectId, name: 'Production' }]);
  });

  test("is a server key that still leads to the environment's former client key", async () => {
    await handOver();
    await serving.putServerKey(serverKey('0'), 'former-key');
    expect((await observe()).missing.serverKeys).toHaveLength(1);
  });

  test('is a server key that is inactive in Edge', async () => {
    await handOver();
    await serving.putServerKey(serverKey('0'), place(0).apiKey, false);
    expect((await observe()).missing.serverKeys).toHaveLength(1);
  });

  test("is a _META row with the environment's former client key", async () => {
    await handOver();
    await serving.putMeta(tables.settings.environmentsV2Table, { ...place(0), apiKey: 'former-key' });
    expect((await observe()).missing.metaRows).toEqual([{ id: projectId, name: 'Production' }]);
  });

  test.for(['NOT_STARTED', 'IN_PROGRESS'])(
    'is the upkeep of the _META rows while their migration is %s',
    async (status) => {
      await handOver();
      await execute(
        database.url,
        `UPDATE projects_project SET identity_overrides_v2_migration_status = '${status}' WHERE id = ${projectId}`,
      );
      const fact = await observe();
      expect(fact.keepsMeta).toBe(false);
      expect(isComplete(fact)).toBe(false);
    },
  );

  test("is the project's switch while it is off", async () => {
    await handOver();
    await execute(database.url, `UPDATE projects_project SET enable_dynamo_db = false WHERE id = ${projectId}`);
    expect((await observe()).enabled).toBe(false);
  });

  test('is found for more environments than one DynamoDB call can read', async () => {
    const ids = Array.from({ length: 130 }, (_, index) => 100_000 + index);
    await insertRows(database.url, {
      environments_environment: ids.map((id) => ({ id, project_id: projectId, api_key: `many-${id}`, name: `e${id}` })),
    });
    await handOver();
    for (const id of ids.slice(1)) await serving.putDocument({ id, apiKey: `many-${id}`, projectId });
    expect((await observe()).missing.documents).toEqual([{ id: 100_000, name: 'e100000' }]);
  });
});

describe('a check of Edge', () => {
  test('reports no key, whatever is missing', async () => {
    const text = JSON.stringify(await observe());
    expect(text).not.toContain('ser.');
    expect(text).not.toContain('client-');
  });

  test('names a table that does not exist instead of failing', async () => {
    const fact = await createView({ ...all(), environmentsTable: 'no_such_table' }).read(projectId, signal);
    expect(fact).toMatchObject({ kind: 'problem', reason: 'TableMissing' });
    expect((fact as { message: string }).message).toContain('no_such_table');
  });

  test('finds nothing for a project that Core does not have', async () => {
    expect(await createView(all()).read(99_999_999, signal)).toEqual({ kind: 'unread' });
  });

  test('is repeated after a minute while something is missing, and much later once everything is there', async () => {
    const clock = createFakeClock();
    const view = createView(all(), clock);
    const isReady = async () => isObservedComplete(await view.read(projectId, signal));
    expect(await isReady()).toBe(false);
    await handOver();
    await clock.advance(AGAIN - 1);
    expect(await isReady()).toBe(false);
    await clock.advance(1);
    expect(await isReady()).toBe(true);
    await serving.removeDocument(place(0).apiKey);
    await clock.advance(29 * AGAIN);
    expect(await isReady()).toBe(true);
    await clock.advance(AGAIN);
    expect(await isReady()).toBe(false);
  });
});

const isObservedComplete = (fact: ReadinessFact) => fact.kind === 'observed' && isComplete(fact);
