import { Client } from 'pg';

/** Holds requests that were sent with `X-Fixture-Fault: lock-before=<key>` or `lock-after=<key>`. */
export interface Lock extends AsyncDisposable {
  /** Whether a request waits for the lock. */
  isAwaited(): Promise<boolean>;
  /** Releases the waiting requests. */
  release(): Promise<void>;
}

/** Takes the advisory lock in the API's database, on its own connection, until it is released. */
export async function holdLock(databaseUrl: string, key: number): Promise<Lock> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query('SELECT pg_advisory_lock($1)', [key]);
  const waiting = `SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = $1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
  const release = () => client.end();
  return {
    isAwaited: async () => (await client.query(waiting, [key])).rows.length > 0,
    release,
    [Symbol.asyncDispose]: release,
  };
}
