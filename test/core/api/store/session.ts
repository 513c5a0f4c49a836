import { type ClientBase, Pool, type PoolClient, types } from 'pg';
import type { Value } from '../python/value.ts';

type Parameter = Value | readonly Parameter[];
type Row = Record<string, Value>;

/** Runs one statement. Integers come back as bigint and timestamps as text. */
export type Query = <R extends object = Row>(statement: string, values?: readonly Parameter[]) => Promise<R[]>;

/**
 * A view's access to the database. As in Core, no transaction spans a request: each `write` commits by itself, and
 * only what Django itself does in one transaction uses `atomic`.
 */
export interface Session {
  read: Query;
  write: Query;
  atomic<T>(work: (query: Query) => Promise<T>): Promise<T>;
}

export interface Store {
  /** @param onCommit is called after every commit of this session, before the view continues */
  session(onCommit: () => Promise<void>): Session;
  /** Waits until the advisory lock is free, so that a test decides when the request continues. */
  waitForLock(key: bigint): Promise<void>;
  close(): Promise<void>;
}

export function connectStore(databaseUrl: string, connections: number): Store {
  const pool = new Pool({
    connectionString: databaseUrl,
    max: connections,
    types: typeParsers,
    options: '-c timezone=UTC',
  });
  // An idle connection that breaks is replaced by the next query, which reports the error if that fails.
  pool.on('error', () => {});
  const gates = new Pool({ connectionString: databaseUrl, max: 10, idleTimeoutMillis: 1000 });
  gates.on('error', () => {});

  return {
    session(onCommit) {
      const atomic: Session['atomic'] = async (work) => {
        const client = await pool.connect();
        let result: Awaited<ReturnType<typeof work>>;
        try {
          result = await transaction(client, work);
        } finally {
          client.release();
        }
        await onCommit();
        return result;
      };
      const read = queryWith(pool);
      const write: Query = async (statement, values) => {
        const rows = await read(statement, values);
        await onCommit();
        return rows as never;
      };
      return { read, write, atomic };
    },
    async waitForLock(key) {
      await gates.query('SELECT pg_advisory_xact_lock($1)', [key]);
    },
    async close() {
      await Promise.all([pool.end(), gates.end()]);
    },
  };
}

async function transaction<T>(client: PoolClient, work: (query: Query) => Promise<T>): Promise<T> {
  await client.query('BEGIN');
  try {
    const result = await work(queryWith(client));
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}

/** Statements on one connection, or each on any in a pool; their values in the form that Python's driver takes. */
export function queryWith(client: Pool | ClientBase): Query {
  return async (statement, values = []) => {
    const { rows } = await client.query(statement, values.map(encode));
    return rows;
  };
}

/** @throws Error on text that Python's driver refuses to send, but node-postgres would change silently */
function encode(value: Parameter): unknown {
  if (Array.isArray(value)) return value.map(encode);
  if (typeof value !== 'string') return value;
  if (value.includes('\0')) throw new Error('A string literal cannot contain NUL (0x00) characters.');
  if (!value.isWellFormed()) throw new Error("'utf-8' codec can't encode: surrogates not allowed");
  return value;
}

const INTEGERS = new Set<number>([types.builtins.INT2, types.builtins.INT4, types.builtins.INT8]);
const TIMES = new Set<number>([types.builtins.TIMESTAMP, types.builtins.TIMESTAMPTZ]);

/** For connections passed to {@link queryWith}. */
export const typeParsers = { getTypeParser };

function getTypeParser(oid: number, format?: 'text' | 'binary'): (text: string) => unknown {
  if (INTEGERS.has(oid)) return BigInt;
  return TIMES.has(oid) ? isoTime : types.getTypeParser(oid, format as 'text');
}

/** A rule of a model's own, checked before the write: Django's ValidationError, with its text. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
}

/** True if the statement failed because a unique constraint would have been violated. */
export function isDuplicate(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '23505';
}

/** In Django's format: `2026-01-02 03:04:05.6+00` becomes `2026-01-02T03:04:05.600000Z`, if it is a time in UTC. */
function isoTime(text: string): string {
  const [, date, time, fraction = ''] = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?\+00$/.exec(text) ?? [];
  if (date === undefined) return text;
  return `${date}T${time}${fraction === '' ? '' : `.${fraction.padEnd(6, '0')}`}Z`;
}
