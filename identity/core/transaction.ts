import type { PoolClient, QueryResult, QueryResultRow } from 'pg';
import { type BoundedRows, readBoundedRows } from './bounded-rows.ts';
import { CoreUnreachableError } from './errors.ts';

/** Runs one statement inside a transaction; rows come as objects. */
export interface Query {
  <Row extends QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** The first rows that fit into `maxSize` characters: for rows that may be large. */
  bounded<Row extends QueryResultRow>(
    text: string,
    values: readonly unknown[],
    maxSize: number,
  ): Promise<BoundedRows<Row>>;
}

/**
 * Begins each transaction and reports whether it is on a standby.
 *
 * `row_security`: a policy would hide rows silently, and a hidden row looks like a deleted one; Postgres rejects the
 * query instead. `extra_float_digits` and `search_path`: a role may have settings of its own, and floats would lose
 * digits silently. The scans: all our reads have an index in the order that we want; without these settings the
 * planner may find it cheaper to read and sort a whole environment, or all tenants' rows, for every page. `jit`:
 * compiling the page query costs more than running it.
 */
export function beginTransaction(statementTimeout: number): string {
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

/** The connection that a transaction runs on. */
export interface TransactionSession {
  /** The same object for the life of the connection. */
  readonly connection: object;
  /** Rejects unless the transaction sees everything that the primary has committed. */
  readonly begun: Promise<void>;
}

export interface Transaction<T> {
  readonly begin: string;
  /** Its name in messages. */
  readonly name: string;
  readonly work: (query: Query, session: TransactionSession) => Promise<T>;
  readonly signal: AbortSignal | undefined;
}

/** Runs the work in one transaction; its connection returns to the pool, or is closed where that did not end well. */
export async function inTransaction<T>(client: PoolClient, { begin, name, work, signal }: Transaction<T>): Promise<T> {
  let done = false;
  try {
    const query = createQuery(client);
    const begun = beginOnPrimary(client, begin, name);
    const result = await unlessAborted(Promise.all([work(query, { connection: client, begun }), begun]), signal);
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
 * @throws CoreUnreachableError on a standby
 */
async function beginOnPrimary(client: PoolClient, begin: string, name: string): Promise<void> {
  // One result per statement; the types know only single statements.
  const results = (await client.query(begin)) as unknown as QueryResult<{ standby: boolean }>[];
  if (results.at(-1)?.rows[0]?.standby === false) return;
  throw new CoreUnreachableError(
    `${name} is a standby, which may lag behind what the API has committed: waiting for the primary. ` +
      'If no failover is under way, point the URL at the primary',
  );
}

/** Rejects with the reason once the signal is aborted. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener('abort', abort));
}
