import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import { POSTGRES_CONNECT_MS, POSTGRES_STATEMENT_MS } from '@edge-migration/runtime/policies.ts';
import type { PoolClient } from 'pg';
import { type Connections, createConnections } from './connections.ts';
import { type CoreSettings, parseDatabaseUrl } from './database-url.ts';
import { asCoreError } from './errors.ts';
import { createKnownRelease } from './known-release.ts';
import type { CoreRelease } from './release.ts';
import { beginTransaction, inTransaction, type Query, type Transaction, unlessAborted } from './transaction.ts';

export type { CoreSettings } from './database-url.ts';

/** Core's Postgres, read only. */
export interface Database {
  /** Its name in messages: `host:port/database`. */
  readonly name: string;
  /**
   * Runs `work` in one short read-only transaction with one snapshot. The begin travels with the first statement, so a
   * single statement costs one round trip.
   *
   * Every transaction makes sure that it sees everything the API has committed: the server is a primary, and row-level
   * security hides nothing. A standby counts as an outage, because a failover is under way or the address is wrong.
   *
   * @throws CoreUnreachableError, CoreRefusedError, CoreTimeoutError, CoreUnsupportedError, CoreError; the signal's
   *   reason on abort, which also drops the connection; any error that `work` throws
   */
  read<T>(work: (query: Query) => Promise<T>, signal?: AbortSignal): Promise<T>;
  /**
   * As {@link read}, for statements that depend on the release. The release is detected in the same transaction unless
   * this connection has done so in the last minute, because an upgrade may come at any time.
   *
   * @throws CoreUnsupportedError when the database is not Flagsmith's, or is older than what we can read
   */
  readByRelease<T>(work: (query: Query, release: CoreRelease) => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Detects the release again. Throws as {@link readByRelease}. */
  findRelease(signal?: AbortSignal): Promise<CoreRelease>;
  /** Closes all connections once their work is done. */
  close(): Promise<void>;
}

export interface DatabaseOptions {
  /** Maximum number of connections; Core's API needs them more than we do. */
  readonly maxConnections: number;
  /** Shown in `pg_stat_activity`. */
  readonly applicationName?: string;
  /** Milliseconds for opening a connection, including the wait for a free one; 10 s by default. */
  readonly connectTimeoutMs?: number;
  /** Milliseconds that one statement may take; 30 s by default, as long as a page may be old. */
  readonly statementTimeoutMs?: number;
  /** Measures the age of the known release. */
  readonly clock?: Clock;
}

/**
 * Opens it lazily: the first read connects. Works through PgBouncer in transaction mode, because nothing outlives a
 * transaction: no named statements, no session settings; every setting that the reads rely on is set locally.
 *
 * @throws ConfigurationError when the URL or a certificate file is wrong
 */
export function openDatabase(settings: CoreSettings, options: DatabaseOptions): Database {
  const address = parseDatabaseUrl(settings);
  const name = `${address.host}:${address.port}/${address.database}`;
  const connections = createConnections(address, {
    max: options.maxConnections,
    application_name: options.applicationName ?? 'edge-migration',
    connectionTimeoutMillis: options.connectTimeoutMs ?? POSTGRES_CONNECT_MS,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    pipeline: true,
  });
  const begin = beginTransaction(options.statementTimeoutMs ?? POSTGRES_STATEMENT_MS);
  const known = createKnownRelease(name, options.clock ?? systemClock);
  let closed: Promise<void> | undefined;

  async function transact<T>(work: Transaction<T>['work'], signal?: AbortSignal): Promise<T> {
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
    read: (work, signal) => transact(work, signal),
    readByRelease: (work, signal) =>
      transact((query, session) => {
        const release = known.of(session.connection);
        // The first statement travels with the begin unless something has to be asked first.
        if (release !== undefined) return work(query, release);
        return known.find(query, session).then((found) => work(query, found));
      }, signal),
    findRelease: (signal) => transact(known.find, signal),
    close() {
      closed ??= connections.end();
      return closed;
    },
  };
}

/** A free connection; after an abort, one that arrives too late returns to the pool. */
function connect(connections: Connections, signal: AbortSignal | undefined): Promise<PoolClient> {
  const connecting = connections.connect();
  return unlessAborted(connecting, signal).catch((error: unknown) => {
    if (signal?.aborted) connecting.then((client) => client.release()).catch(() => {});
    throw error;
  });
}
