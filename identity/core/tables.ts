import type { Database } from './database.ts';
import { CORE_TABLES } from './release.ts';

/**
 * Reads a row of every table that cannot be done without: rights are per table, and so is row-level security.
 *
 * @throws as {@link Database.read}
 */
export async function probeTables(database: Database, signal?: AbortSignal): Promise<void> {
  for (const table of CORE_TABLES) await database.read((query) => query(`SELECT 1 FROM ${table} LIMIT 1`), signal);
}
