import { type Postgres, startPostgres } from '@edge-migration/test/cluster/postgres.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { execute } from '../fixtures/core-rows.ts';
import { type Database, openDatabase } from './database.ts';
import { CoreUnreachableError } from './errors.ts';

let postgres: Postgres;
let core: Database;

beforeAll(async () => {
  postgres = await startPostgres();
  core = openDatabase({ databaseUrl: postgres.url }, { maxConnections: 1 });
});
afterAll(async () => {
  await core.close();
  await postgres.stop();
});

const read = () => core.read((query) => query('SELECT 1 AS one'));

test('a standby counts as an outage until it is promoted, for a core that was opened when it was the primary', async () => {
  expect(await read()).toEqual([{ one: 1 }]);
  await postgres.demote();
  await core.read((query) => query('SELECT 1')).catch(() => 'the connection that the restart broke');

  const answer = await read().catch((error: unknown) => error);
  expect(answer).toBeInstanceOf(CoreUnreachableError);
  expect(String(answer)).toMatch(/is a standby.+waiting for the primary/);

  await execute(postgres.url, 'SELECT pg_promote()');
  expect(await read()).toEqual([{ one: 1 }]);
});
