import { DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { dynamodb } from '@edge-migration/test/cluster/shared.ts';
import { createTables, type TestTables } from '@edge-migration/test/edge/tables.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createProjectMetadata, type ProjectMetadata } from './project-metadata.ts';
import { connectToEdge, type EdgeConnection } from './table/connection.ts';

let tables: TestTables;
let connection: EdgeConnection;
let metadata: ProjectMetadata;
let table: string;
let raw: DynamoDBClient;

beforeAll(async () => {
  const access = await dynamodb();
  tables = await createTables(access);
  table = tables.settings.projectMetadataTable;
  connection = connectToEdge(tables.settings, { credentials: access.credentials });
  metadata = createProjectMetadata(connection, table);
  raw = new DynamoDBClient({ endpoint: access.endpoint, region: access.region, credentials: access.credentials });
});

afterAll(async () => {
  raw.destroy();
  connection.close();
  await tables.drop();
});

const read = async (id: number) => (await tables.scan(table)).find((item) => item['id']?.N === String(id));
/** Python's `datetime.now().isoformat()`: no offset, which Flagsmith's loader would not understand. */
const NAIVE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/;

describe("the dashboard's migration status", () => {
  test('the status has a start while identities are copied, then also an end, and no other attributes', async () => {
    expect(await metadata.markStarted(1)).toBe('written');
    expect(await read(1)).toEqual({
      id: { N: '1' },
      triggered_at: { NULL: true },
      migration_start_time: { S: expect.stringMatching(NAIVE) },
      migration_end_time: { NULL: true },
    });
    expect(await metadata.markCompleted(1)).toBe('written');
    expect(await read(1)).toMatchObject({ migration_end_time: { S: expect.stringMatching(NAIVE) } });
  });

  test('the status keeps every existing time, and nothing is written the second time', async () => {
    const triggered = { S: '2026-01-02T03:04:05.678901' };
    await raw.send(new PutItemCommand({ TableName: table, Item: { id: { N: '2' }, triggered_at: triggered } }));
    await metadata.markStarted(2);
    const started = await read(2);
    expect(started).toMatchObject({ triggered_at: triggered });
    expect(await metadata.markStarted(2)).toBe('unchanged');
    await metadata.markCompleted(2);
    expect(await read(2)).toMatchObject({
      triggered_at: triggered,
      migration_start_time: started?.['migration_start_time'],
    });
    expect(await metadata.markCompleted(2)).toBe('unchanged');
  });

  test('the status never has an end without a start, which the dashboard would show as not started', async () => {
    await metadata.markCompleted(3);
    expect(await read(3)).toMatchObject({
      migration_start_time: { S: expect.any(String) },
      migration_end_time: { S: expect.any(String) },
    });
  });

  test('the status survives a concurrent write of a time by Flagsmith', async () => {
    const theirs = { S: '2026-02-03T04:05:06.000001' };
    let pending = true;
    const interrupted = createProjectMetadata(
      {
        ...connection,
        async call(name, send, options) {
          const answer = await connection.call(name, send, options);
          if (pending) {
            pending = false;
            await raw.send(new PutItemCommand({ TableName: table, Item: { id: { N: '4' }, triggered_at: theirs } }));
          }
          return answer;
        },
      },
      table,
    );
    expect(await interrupted.markStarted(4)).toBe('written');
    expect(await read(4)).toMatchObject({ triggered_at: theirs, migration_start_time: { S: expect.any(String) } });
  });

  test('the status is refused with a clear error if the table is another one', async () => {
    await expect(createProjectMetadata(connection, tables.settings.identitiesTable).describe()).rejects.toThrow(
      /has the key composite_key/,
    );
  });
});

test('the marks of a project can be read, and an end without a start counts for nothing', async () => {
  expect(await metadata.read(71)).toEqual({ started: false, completed: false });
  await metadata.markStarted(71);
  expect(await metadata.read(71)).toEqual({ started: true, completed: false });
  await metadata.markCompleted(71);
  expect(await metadata.read(71)).toEqual({ started: true, completed: true });
  const item = { id: { N: '72' }, migration_end_time: { S: '2026-01-01T00:00:00.000000' } };
  await raw.send(new PutItemCommand({ TableName: table, Item: item }));
  expect(await metadata.read(72)).toEqual({ started: false, completed: false });
});
