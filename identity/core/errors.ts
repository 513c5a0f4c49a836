import type { Disposition } from '@edge-migration/runtime/failure.ts';
import { offersNoTls, wantsTls } from './connections.ts';

/**
 * Any reason why Core cannot be read. The message names host and database, never the password. The `name` of each
 * kind is published as the reason of conditions: its class name without `Error`.
 */
export class CoreError extends Error {
  override readonly name: string = 'CoreError';
  readonly disposition: Disposition = 'rejected';
}

/** No connection: wrong host, network policy, database down or out of connections. */
export class CoreUnreachableError extends CoreError {
  override readonly name = 'CoreUnreachable';
  override readonly disposition = 'transient';
}

/** The database rejected the connection or query: credentials, certificate, missing database or rights. */
export class CoreRefusedError extends CoreError {
  override readonly name = 'CoreRefused';
  override readonly disposition = 'misconfigured';
}

/** A connection or a statement took longer than its limit. */
export class CoreTimeoutError extends CoreError {
  override readonly name = 'CoreTimeout';
  override readonly disposition = 'transient';
}

/** The database is not one that we can read faithfully. */
export class CoreUnsupportedError extends CoreError {
  override readonly name = 'CoreUnsupported';
  override readonly disposition = 'misconfigured';
}

/** More rows than the caller can hold; it should ask for fewer. */
export class ResultTooLargeError extends CoreError {
  override readonly name = 'ResultTooLarge';
}

const TIMEOUTS = new Set(['57014', '55P03', '25P03', 'ETIMEDOUT']);
/**
 * Messages of node-postgres, which has no codes for these. The last two come from a server that is not Postgres, or
 * that cannot even start a process for us.
 */
const LOST =
  /^Connection terminated|not queryable|^There was an error establishing an SSL connection|^received invalid response/;
const CERTIFICATE = /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_|ERR_SSL_)/;

/**
 * Translates a failure of node-postgres into one of our errors; other errors (the caller's own) are returned as they
 * are.
 *
 * @param database its name in messages, for example `db.example:5432/flagsmith`
 */
export function asCoreError(cause: unknown, database: string): unknown {
  if (!(cause instanceof Error) || cause instanceof CoreError) return cause;
  if (offersNoTls(cause)) {
    return new CoreRefusedError(
      `${database} offers no TLS, which sslmode in EDGE_MIGRATION_DATABASE_URL or a CA file requires; enable TLS on the server or the pooler, or use sslmode=prefer`,
      { cause },
    );
  }
  const code = codeOf(cause);
  const said = `(${code === undefined ? '' : `${code}: `}${cause.message})`;
  if (/timeout exceeded when trying to connect|connection timeout/.test(cause.message)) {
    return new CoreTimeoutError(
      `${database} did not accept a connection in time; is it reachable, or out of connections?`,
      {
        cause,
      },
    );
  }
  if (code === undefined) return LOST.test(cause.message) ? lost() : cause;
  if (TIMEOUTS.has(code)) {
    return new CoreTimeoutError(`${database} did not finish in time ${said}; is it overloaded or locked?`, { cause });
  }
  if (code === '42P01' || code === '42703') {
    return new CoreUnsupportedError(`${database} lacks a table or column that was there before ${said}`, { cause });
  }
  if (code === '42501' && /row-level security/.test(cause.message)) {
    return new CoreRefusedError(
      `${database} has row-level security that would hide rows ${said}; give the user BYPASSRLS, or connect as the owner of the tables`,
      { cause },
    );
  }
  if (wantsTls(cause)) {
    return new CoreRefusedError(
      `${database} accepts no connection without TLS ${said}; set sslmode=require in EDGE_MIGRATION_DATABASE_URL, or sslmode=verify-full with the authority's file as sslrootcert`,
      { cause },
    );
  }
  if (CERTIFICATE.test(code)) {
    return new CoreRefusedError(
      `${database} has a certificate that cannot be verified ${said}; give the authority that signed it (EDGE_MIGRATION_DATABASE_CA_FILE, or sslrootcert in the URL), or encrypt without verification by sslmode=require alone`,
      { cause },
    );
  }
  if (/^28|^3D000$|^42501$/.test(code)) {
    return new CoreRefusedError(
      `${database} refused access ${said}; check user, password, database name and the right to SELECT`,
      { cause },
    );
  }
  // 08: connection, 53: out of resources, 57P: shutting down; the rest are Node's names, such as ECONNREFUSED.
  if (/^(08|53|57P|E[A-Z])/.test(code)) return lost();
  return new CoreError(`${database} failed to answer ${said}`, { cause });

  function lost(): CoreUnreachableError {
    return new CoreUnreachableError(
      `${database} cannot be reached ${said}; check host, port and that the network lets this pod connect`,
      { cause },
    );
  }
}

function codeOf(error: Error): string | undefined {
  const code = 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}
