/** The statements of docs/install.md for the database user, when Flagsmith's tables belong to an arbitrary role. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { READ_TABLES } from '@edge-migration/identity/core/release.ts';
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
  await run(`CREATE ROLE "${OWNER}"; CREATE TABLE users_ffadminuser (password text)`);
  await run(`ALTER TABLE environments_identity OWNER TO "${OWNER}"`);
});

afterAll(async () => {
  await run(`DROP OWNED BY ${READER}; DROP ROLE ${READER}; DROP OWNED BY "${OWNER}" CASCADE; DROP ROLE "${OWNER}"`);
  await database.drop();
});

it('let the user read every table that is read, whatever role owns it, no other one, and write none', async () => {
  await run(await readStatements());
  const tables = await run("SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
  const readable = [];
  for (const { tablename } of tables as { tablename: string }[]) {
    const [answer] = await run(`SELECT has_table_privilege('${READER}', 'public.${tablename}', 'SELECT') AS may`);
    if ((answer as { may: boolean }).may) readable.push(tablename);
  }
  expect(readable.toSorted()).toEqual(READ_TABLES.toSorted());
  expect(tables.length).toBeGreaterThan(readable.length);
  await expect(run('DELETE FROM environments_identity', READER)).rejects.toThrow(/permission denied/);
});
