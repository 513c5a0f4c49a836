import { Pool, type PoolClient, type QueryResultRow } from 'pg';
import { type CoreSettings, parseDatabaseUrl } from './database-url.ts';
import { asCoreError } from './errors.ts';

export type { CoreSettings } from './database-url.ts';

/** Runs one statement inside the transaction of {@link Core.read}; rows come as objects. */
export type Query = <Row extends QueryResultRow>(text: string, values?: readonly unknown[]) => Promise<Row[]>;

/** Core's Postgres, read only. */
export interface Core {
  /** How messages name it: `host:port/database`. */
  readonly name: string;
  /**
   * Runs `work` in one short read-only transaction with one snapshot. The begin travels with the first statement, so a
   * single statement costs one round trip before its rows are here.
   *
   * @throws CoreUnreachable, CoreRefused, CoreTimeout, CoreUnsupported, CoreError; the signal's reason on abort, which
   *   also drops the connection; whatever `work` throws
   */
  read<T>(work: (query: Query) => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Closes all connections once their work is done. */
  close(): Promise<void>;
}

export interface CoreOptions {
  /** Connections at most; Core's API needs them more than we do. */
  readonly maxConnections: number;
  /** Shown in `pg_stat_activity`. */
  readonly applicationName?: string;
  /** Milliseconds until a connection must stand, waiting for a free one included; 10 s by default. */
  readonly connectTimeout?: number;
  /** Milliseconds that one statement may take; 30 s by default, as long as a page may be old. */
  readonly statementTimeout?: number;
}

/**
 * Opens Core lazily: the first read connects. Works through PgBouncer in transaction mode, because nothing outlives a
 * transaction: no named statements, no session settings; every setting that the reads rely on is set locally.
 *
 * @throws ConfigurationError when the URL or a certificate file is wrong
 */
export function openCore(settings: CoreSettings, options: CoreOptions): Core {
  const { host, port, database, user, password, ssl } = parseDatabaseUrl(settings);
  const name = `${host}:${port}/${database}`;
  const pool = new Pool({
    host,
    port,
    database,
    user,
    password,
    ssl,
    max: options.maxConnections,
    application_name: options.applicationName ?? 'edge-migration',
    connectionTimeoutMillis: options.connectTimeout ?? 10_000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    pipeline: true,
  });
  // A connection that breaks leaves the pool by itself; whoever is using it or opens the next one reports what failed.
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  const begin = beginTransaction(options.statementTimeout ?? 30_000);
  let closed: Promise<void> | undefined;

  async function read<T>(work: (query: Query) => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    try {
      const client = await connect(pool, signal);
      return await inTransaction(client, begin, work, signal);
    } catch (error) {
      throw asCoreError(error, name);
    }
  }

  return {
    name,
    read,
    close() {
      closed ??= pool.end();
      return closed;
    },
  };
}

/**
 * `extra_float_digits` and `search_path`: a role may have settings of its own, and floats would lose digits silently.
 * The scans: everything that we read has an index in the order that we want; without these the planner may find it
 * cheaper to read and sort a whole environment, or all tenants' rows, for every page. `jit`: compiling the page query
 * costs more than running it.
 */
function beginTransaction(statementTimeout: number): string {
  return [
    'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY',
    `SET LOCAL statement_timeout = ${statementTimeout}`,
    `SET LOCAL idle_in_transaction_session_timeout = ${2 * statementTimeout}`,
    'SET LOCAL extra_float_digits = 1',
    'SET LOCAL search_path = public',
    'SET LOCAL enable_seqscan = off',
    'SET LOCAL enable_bitmapscan = off',
    'SET LOCAL jit = off',
  ].join('; ');
}

async function inTransaction<T>(
  client: PoolClient,
  begin: string,
  work: (query: Query) => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  let done = false;
  try {
    const query: Query = async <Row extends QueryResultRow>(text: string, values: readonly unknown[] = []) =>
      (await client.query<Row>(text, [...values])).rows;
    const begun = client.query(begin);
    const result = await unlessAborted(Promise.all([work(query), begun]), signal);
    await client.query('COMMIT');
    done = true;
    return result[0];
  } finally {
    // A connection whose transaction did not end well is closed rather than repaired.
    client.release(!done);
  }
}

/** A free connection; on abort the one that comes too late goes back to the pool. */
function connect(pool: Pool, signal: AbortSignal | undefined): Promise<PoolClient> {
  const connecting = pool.connect();
  return unlessAborted(connecting, signal).catch((error: unknown) => {
    if (signal?.aborted) connecting.then((client) => client.release()).catch(() => {});
    throw error;
  });
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener('abort', abort));
}
