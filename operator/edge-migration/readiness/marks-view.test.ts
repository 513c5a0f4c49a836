import { DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { createProjectMetadata } from '@edge-migration/identity/edge/project-metadata.ts';
import { connectToEdge, type EdgeConnection } from '@edge-migration/identity/edge/table/connection.ts';
import { createFakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { dynamodb } from '@edge-migration/test/cluster/shared.ts';
import { createTables, type TestTables } from '@edge-migration/test/edge/tables.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createMarks } from './marks.ts';

const { signal } = new AbortController();
let tables: TestTables;
let connection: EdgeConnection;
let flagsmith: DynamoDBClient;

beforeAll(async () => {
  const access = await dynamodb();
  tables = await createTables(access);
  connection = connectToEdge(tables.settings, { credentials: access.credentials });
  flagsmith = new DynamoDBClient({ endpoint: access.endpoint, region: access.region, credentials: access.credentials });
});

afterAll(async () => {
  flagsmith.destroy();
  connection.close();
  await tables.drop();
});

test('a put by Flagsmith that reverts marks is seen half a minute later, and its own time stays when they are written again', async () => {
  const TableName = tables.settings.projectMetadataTable;
  const clock = createFakeClock();
  const marks = createMarks(createProjectMetadata(connection, TableName), clock);
  await marks.markCompleted(42);
  const empty = { migration_start_time: { NULL: true as const }, migration_end_time: { NULL: true as const } };
  const triggered = { id: { N: '42' }, triggered_at: { S: '2026-01-01T00:00:00.000000' }, ...empty };
  await flagsmith.send(new PutItemCommand({ TableName, Item: triggered }));
  expect(await marks.read(42, signal)).toMatchObject({ started: true, completed: true });
  await clock.advance(30_000);
  expect(await marks.read(42, signal)).toEqual({ kind: 'observed', started: false, completed: false });
  expect(await marks.markCompleted(42)).toBe('written');
  expect(await marks.read(42, signal)).toMatchObject({ completed: true });
  const [item] = await tables.scan(TableName);
  expect(item).toMatchObject({ triggered_at: triggered.triggered_at, migration_end_time: { S: expect.any(String) } });
  expect(await marks.markCompleted(42)).toBe('unchanged');
});

test('the marks read for a project are forgotten with its EdgeMigration', async () => {
  const metadata = createProjectMetadata(connection, tables.settings.projectMetadataTable);
  const marks = createMarks(metadata, createFakeClock());
  for (let projectId = 1000; projectId < 1100; projectId++) {
    await marks.read(projectId, signal);
    marks.forget(projectId);
  }
  expect(marks.size).toBe(0);
});
