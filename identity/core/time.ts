import type { Core } from './database.ts';

/**
 * Now by Core's clock, in milliseconds since the epoch. Processes that have nothing else in common compare times by it.
 *
 * @throws CoreError
 */
export async function readCoreTime(core: Core, signal: AbortSignal): Promise<number> {
  const [row] = await core.read(
    (query) => query<{ time: number }>('SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS time'),
    signal,
  );
  return Math.floor(row?.time ?? Number.NaN);
}
