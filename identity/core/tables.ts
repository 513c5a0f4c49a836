import type { Database } from './database.ts';
import { CORE_TABLES } from './release.ts';

/**
 * Reads a row of every required table: both rights and row-level security are per table.
 *
 * @throws as {@link Database.read}
 */
export async function probeTables(database: Database, signal?: AbortSignal): Promise<void> {
  for (const table of CORE_TABLES) await database.read((query) => query(`SELECT 1 FROM ${table} LIMIT 1`), signal);
}
