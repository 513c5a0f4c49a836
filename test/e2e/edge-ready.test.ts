import { DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { execute } from '@edge-migration/identity/fixtures/core-rows.ts';
import { recordedCondition } from '@edge-migration/operator/edge-migration/conditions.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dynamodb } from '../cluster/shared.ts';
import { createServingTestTables, type ServingTestTables } from '../edge/serving-tables.ts';
import { createTables, type TestTables } from '../edge/tables.ts';
import { useWorld } from './operator-setup.ts';

const MINUTE = 60_000;
const TRIGGERED = '2026-01-02T03:04:05.678901';

const setup = useWorld();
const started = new AsyncDisposableStack();
let serving: ServingTestTables;
let tables: TestTables;
let raw: DynamoDBClient;

beforeAll(async () => {
  const access = await dynamodb();
  serving = started.use(await createServingTestTables(access));
  tables = started.use(await createTables(access));
  raw = new DynamoDBClient({ endpoint: access.endpoint, region: access.region, credentials: access.credentials });
  started.defer(() => raw.destroy());
  const { environmentsTable, environmentsApiKeyTable } = serving.settings;
  const operator = await setup.world.startOperator(setup.kubeconfig, {
    EDGE_MIGRATION_ENVIRONMENTS_TABLE: environmentsTable,
    EDGE_MIGRATION_ENVIRONMENTS_API_KEY_TABLE: environmentsApiKeyTable,
    EDGE_MIGRATION_PROJECT_METADATA_TABLE: tables.settings.projectMetadataTable,
    EDGE_MIGRATION_EDGE_READY_SECONDS: '1',
  });
  started.defer(async () => void (await operator.stop()));
});

afterAll(() => started.disposeAsync());

const readMark = async (projectId: number) =>
  (await tables.scan(tables.settings.projectMetadataTable)).find(({ id }) => id?.N === String(projectId));

async function edgeReady(projectId: number) {
  const { status } = (await setup.world.migration(projectId)) ?? {};
  const { status: state, reason, message } = recordedCondition(status?.conditions, 'EdgeReady') ?? {};
  return { state, reason, message };
}

/** The writes of Flagsmith's own code when it hands a project over. */
async function handOver(projectId: number) {
  await execute(setup.databaseUrl, `UPDATE projects_project SET enable_dynamo_db = true WHERE id = ${projectId}`);
  await serving.putDocument({ id: projectId, apiKey: `key-${projectId}`, projectId });
}

test('a plan reports what Edge lacks before anything is copied', { timeout: 9 * MINUTE }, async () => {
  const [projectId = 0] = await setup.world.addProjects(1);
  await setup.world.create(projectId, { mode: 'Plan' });
  await setup.world.condition([projectId], 'EdgeReady', 'False');
  const { reason, message } = await edgeReady(projectId);
  expect(reason).toBe('DynamoDBNotEnabled');
  expect(message).toContain(`no document of environment environment (id ${projectId})`);
  await handOver(projectId);
  await setup.world.condition([projectId], 'EdgeReady', 'True');
  expect(await readMark(projectId)).toBeUndefined();
});

test('the dashboard learns of a copy only once Edge can answer, and its trigger time is kept', {
  timeout: 4 * MINUTE,
}, async () => {
  const [projectId = 0] = await setup.world.addProjects(1);
  const triggered = { id: { N: String(projectId) }, triggered_at: { S: TRIGGERED } };
  await raw.send(new PutItemCommand({ TableName: tables.settings.projectMetadataTable, Item: triggered }));
  await setup.world.create(projectId);
  await setup.world.condition([projectId], 'Copied', 'True');
  expect((await edgeReady(projectId)).state).toBe('False');
  expect(await readMark(projectId)).toEqual(triggered);
  await handOver(projectId);
  await setup.world.condition([projectId], 'EdgeReady', 'True');
  expect(await readMark(projectId)).toEqual({
    id: { N: String(projectId) },
    triggered_at: { S: TRIGGERED },
    migration_start_time: { S: expect.any(String) },
    migration_end_time: { S: expect.any(String) },
  });
});

test('a project that was handed over before is marked once it is copied', { timeout: 12 * MINUTE }, async () => {
  const [projectId = 0] = await setup.world.addProjects(1);
  await handOver(projectId);
  await setup.world.create(projectId);
  await setup.world.condition([projectId], 'Succeeded', 'True');
  expect(await readMark(projectId)).toMatchObject({ migration_end_time: { S: expect.any(String) } });
});
