import pg from 'pg';
import { expect, test, vi } from 'vitest';
import { startDynamodb } from './dynamodb.ts';
import { startNats } from './nats.ts';
import { startPostgres } from './postgres.ts';
import { probeHttp, probeTcp } from './probe.ts';
import { createDatabase, dynamodb, kubernetes, nats } from './shared.ts';

// A busy machine needs more time.
vi.setConfig({ testTimeout: 600_000 });

test('Postgres keeps its data across a SIGKILL and a restart, and rejects a wrong password', async () => {
  await using postgres = await startPostgres();
  await query(postgres.url, 'CREATE TABLE t AS SELECT 1 AS a');
  await postgres.restart();
  expect(await query(postgres.url, 'SELECT a FROM t')).toEqual([{ a: 1 }]);
  await expect(query(postgres.url.replace(':postgres@', ':wrong@'), 'SELECT 1')).rejects.toThrow(/password/);
});

test('a killed NATS server stays down until it is restarted on the same port', async () => {
  await using server = await startNats();
  await server.kill('SIGKILL');
  expect(server.running).toBe(false);
  expect(await probeTcp('127.0.0.1', server.port)).toBe(false);
  await server.restart();
  expect((await probeHttp(`${server.monitorUrl}/jsz`)).status).toBe(200);
});

test('DynamoDB Local runs as many instances as requested', async () => {
  await using first = await startDynamodb({ heapMb: 128 });
  await using second = await startDynamodb({ heapMb: 128 });
  expect(first.endpoint).not.toBe(second.endpoint);
});

test('services are shared by all callers, databases are not', async () => {
  expect(await nats()).toEqual(await nats());
  expect(await dynamodb()).toEqual(await dynamodb());
  expect(await kubernetes()).toEqual(await kubernetes());
  await using one = await createDatabase({ schema: false });
  await using other = await createDatabase({ schema: false });
  await query(one.url, 'CREATE TABLE t (a int)');
  await expect(query(other.url, 'SELECT a FROM t')).rejects.toThrow(/does not exist/);
});

async function query(connectionString: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString });
  try {
    await client.connect();
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}
