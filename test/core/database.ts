import { readFile } from 'node:fs/promises';
import { execute } from '@edge-migration/identity/fixtures/core-rows.ts';
import type { Postgres } from '../cluster/postgres.ts';

const SCHEMA = new URL('./schema.sql', import.meta.url);

/** Makes an empty database with Flagsmith's schema; returns its URL. */
export async function createEmptyCore(urlOf: Postgres['urlOf'], name: string): Promise<string> {
  await execute(urlOf('postgres'), `CREATE DATABASE ${name}`);
  const url = urlOf(name);
  await execute(url, await readFile(SCHEMA, 'utf8'));
  return url;
}
