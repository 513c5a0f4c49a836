import { POSTGRES_CONNECT_MS, POSTGRES_STATEMENT_MS } from '@edge-migration/runtime/policies.ts';
import type { PoolClient, QueryResult, QueryResultRow } from 'pg';
import { type BoundedRows, readBoundedRows } from './bounded-rows.ts';
import { type Connections, createConnections } from './connections.ts';
import { type CoreSettings, parseDatabaseUrl } from './database-url.ts';
import { asCoreError, CoreUnreachable } from './errors.ts';

export type { CoreSettings } from './database-url.ts';

/** Runs one statement inside the transaction of {@link Core.read}; rows come as objects. */
export interface Query {
  <Row extends QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** The first rows, as far as they fit into `maxSize` characters: for rows that may be large. */
  bounded<Row extends QueryResultRow>(
    text: string,
    values: readonly unknown[],
    maxSize: number,
  ): Promise<BoundedRows<Row>>;
}

/** Core's Postgres, read only. */
export interface Core {
  /** How messages name it: `host:port/database`. */
  readonly name: string;
  /**
   * Runs `work` in one short read-only transaction with one snapshot. The begin travels with the first statement, so a
   * single statement costs one round trip before its rows are here.
   *
   * Every transaction makes sure that it sees everything the API has committed: the server is a primary, and row-level
   * security hides nothing. A standby counts as an outage, because a failover is under way or the address is wrong.
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
  const address = parseDatabaseUrl(settings);
  const name = `${address.host}:${address.port}/${address.database}`;
  const connections = createConnections(address, {
    max: options.maxConnections,
    application_name: options.applicationName ?? 'edge-migration',
    connectionTimeoutMillis: options.connectTimeout ?? POSTGRES_CONNECT_MS,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    pipeline: true,
  });
  const begin = beginTransaction(options.statementTimeout ?? POSTGRES_STATEMENT_MS);
  let closed: Promise<void> | undefined;

  async function read<T>(work: (query: Query) => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    try {
      const client = await connect(connections, signal);
      return await inTransaction(client, { begin, name, work, signal });
    } catch (error) {
      throw asCoreError(error, name);
    }
  }

  return {
    name,
    read,
    close() {
      closed ??= connections.end();
      return closed;
    },
  };
}

/**
 * `row_security`: a policy would hide rows without a word, and a hidden row looks like a deleted one; Postgres refuses
 * the query instead. `extra_float_digits` and `search_path`: a role may have settings of its own, and floats would lose digits silently.
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
    'SET LOCAL row_security = off',
    'SELECT pg_is_in_recovery() AS standby',
  ].join('; ');
}

interface Transaction<T> {
  readonly begin: string;
  /** How messages name the database. */
  readonly name: string;
  readonly work: (query: Query) => Promise<T>;
  readonly signal: AbortSignal | undefined;
}

async function inTransaction<T>(client: PoolClient, { begin, name, work, signal }: Transaction<T>): Promise<T> {
  let done = false;
  try {
    const query = createQuery(client);
    const begun = beginOnPrimary(client, begin, name);
    const result = await unlessAborted(Promise.all([work(query), begun]), signal);
    await client.query('COMMIT');
    done = true;
    return result[0];
  } finally {
    // A connection whose transaction did not end well is closed rather than repaired.
    client.release(!done);
  }
}

function createQuery(client: PoolClient): Query {
  const all = async <Row extends QueryResultRow>(text: string, values: readonly unknown[] = []) =>
    (await client.query<Row>(text, [...values])).rows;
  const bounded = <Row extends QueryResultRow>(text: string, values: readonly unknown[], maxSize: number) =>
    readBoundedRows<Row>(client, text, values, maxSize);
  return Object.assign(all, { bounded });
}

/**
 * Asked in every transaction, because a failover may turn any connection, or the address itself, into a standby's.
 *
 * @throws CoreUnreachable on a standby
 */
async function beginOnPrimary(client: PoolClient, begin: string, name: string): Promise<void> {
  // One result for each statement; the types know single statements only.
  const results = (await client.query(begin)) as unknown as QueryResult<{ standby: boolean }>[];
  if (results.at(-1)?.rows[0]?.standby === false) return;
  throw new CoreUnreachable(
    `${name} is a standby, which may lag behind what the API has committed: waiting for the primary. ` +
      'If no failover is under way, point the URL at the primary',
  );
}

/** A free connection; on abort the one that comes too late goes back to the pool. */
function connect(connections: Connections, signal: AbortSignal | undefined): Promise<PoolClient> {
  const connecting = connections.connect();
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
