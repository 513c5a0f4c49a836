import type { Database } from './database.ts';

/**
 * The current time by Core's clock, in milliseconds since the epoch. It lets unrelated processes compare times.
 *
 * @throws CoreError
 */
export async function readCoreTime(database: Database, signal: AbortSignal): Promise<number> {
  const [row] = await database.read(
    (query) => query<{ time: number }>('SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS time'),
    signal,
  );
  return Math.floor(row?.time ?? Number.NaN);
}
