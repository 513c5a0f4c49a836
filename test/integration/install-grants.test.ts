/** The statements of docs/install.md for the database user, where Flagsmith's tables belong to a role of any name. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createDatabase, type TestDatabase } from '../cluster/shared.ts';

const OWNER = `Core's owner ${randomBytes(4).toString('hex')}`;
const READER = `reader_${randomBytes(4).toString('hex')}`;
let database: TestDatabase;

async function run(statements: string, user?: string): Promise<unknown[]> {
  const client = new Client({ connectionString: database.url });
  await client.connect();
  try {
    if (user !== undefined) await client.query(`SET ROLE ${client.escapeIdentifier(user)}`);
    return (await client.query(statements)).rows;
  } finally {
    await client.end();
  }
}

async function readStatements(): Promise<string> {
  const page = await readFile(new URL('../../docs/install.md', import.meta.url), 'utf8');
  return /```sql\n([^`]*)```/.exec(page)![1]!.replaceAll('edge_migration', READER);
}

beforeAll(async () => {
  database = await createDatabase();
  await run(`CREATE ROLE "${OWNER}" CREATEROLE; GRANT CREATE ON SCHEMA public TO "${OWNER}"`);
  await run(`ALTER TABLE environments_identity OWNER TO "${OWNER}"`);
});

afterAll(async () => {
  await run(`DROP OWNED BY ${READER}; DROP ROLE ${READER}; DROP OWNED BY "${OWNER}" CASCADE; DROP ROLE "${OWNER}"`);
  await database.drop();
});

it('let the user read all tables, also those that come with a later release, and write none', async () => {
  await run(await readStatements());
  await run('CREATE TABLE of_a_later_release (id int)', OWNER);
  expect(await run('SELECT * FROM environments_identity', READER)).toEqual([]);
  expect(await run('SELECT * FROM projects_project', READER)).toEqual([]);
  expect(await run('SELECT * FROM of_a_later_release', READER)).toEqual([]);
  await expect(run('DELETE FROM environments_identity', READER)).rejects.toThrow(/permission denied/);
});
