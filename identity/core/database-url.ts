import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { ConfigurationError } from '@edge-migration/runtime/configuration.ts';

/** The part of {@link import('../configuration.ts').coreSettings} that a connection needs. */
export interface CoreSettings {
  readonly databaseUrl: string;
  readonly databaseCaFile?: string | undefined;
  readonly databaseCertificateFile?: string | undefined;
  readonly databaseKeyFile?: string | undefined;
}

/** TLS options for Node; false: no TLS. */
export type Encryption = ConnectionOptions | false;

export interface CoreAddress {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string | undefined;
  /** In order of preference: the second is used where the server refuses the first. */
  readonly encryptions: readonly [Encryption, Encryption?];
}

/** The password may hold unencoded `@`, `/`, `#` and `?`: Flagsmith's chart does not encode it. Hence "the last @". */
const URL_PARTS =
  /^postgres(?:ql)?:\/\/(?:([^:@/]*)(?::(.*))?@)?(\[[^\]]+\]|[^:@/?#]*)(?::([0-9]+))?\/([^?#]*)(?:\?([^#]*))?$/s;

/**
 * Parses `postgres://user:password@host:port/database?sslmode=…` as Flagsmith does (percent-decoding that leaves
 * broken sequences alone) and reads the certificate files.
 *
 * Parameters mean what they mean to libpq: `host`, `port`, `user`, `password`, `dbname`, `sslmode` (`prefer` by default),
 * `sslrootcert`, `sslcert`, `sslkey`. Others are ignored. Stricter than libpq in one point: if a certificate cannot be
 * verified, the connection never falls back to plain text.
 *
 * @throws ConfigurationError that names the variable, never a value
 */
export function parseDatabaseUrl(settings: CoreSettings): CoreAddress {
  const [, user, password, host, port, path, query] = URL_PARTS.exec(settings.databaseUrl) ?? [];
  const parameters = new URLSearchParams(query ?? '');
  const database = parameters.get('dbname') ?? decode(path ?? '');
  if (host === undefined || database === '') {
    throw new ConfigurationError(
      'EDGE_MIGRATION_DATABASE_URL must have the form postgres://user:password@host:port/database',
    );
  }
  const server = (parameters.get('host') ?? decode(host.replace(/^\[(.*)\]$/, '$1'))) || 'localhost';
  if (server.includes(',')) {
    throw new ConfigurationError('EDGE_MIGRATION_DATABASE_URL names several hosts: give the address of the primary');
  }
  return {
    host: server,
    port: Number(parameters.get('port') ?? port ?? 5432),
    database,
    user: parameters.get('user') ?? decode(user ?? ''),
    password: parameters.get('password') ?? (password === undefined ? undefined : decode(password)),
    // libpq has no TLS on Unix sockets either.
    encryptions: server.startsWith('/') ? [false] : chooseEncryptions(settings, parameters),
  };
}

function chooseEncryptions(settings: CoreSettings, parameters: URLSearchParams): CoreAddress['encryptions'] {
  const mode = parameters.get('sslmode') ?? 'prefer';
  const { certificates, verify } = readCertificates(settings, parameters);
  // Verifies the authority only: the certificate may have any name.
  const verifyAuthority = { ...certificates, checkServerIdentity: () => undefined };
  if (verify === 'always') return [mode === 'verify-ca' ? verifyAuthority : certificates];
  const trusting = { ...certificates, rejectUnauthorized: false };
  const weakest = verify === 'authority' ? verifyAuthority : trusting;
  switch (mode) {
    case 'verify-full':
      return [certificates];
    case 'verify-ca':
      return [verifyAuthority];
    case 'require':
      return [weakest];
    case 'no-verify':
      return [trusting];
    case 'prefer':
      return [weakest, false];
    case 'allow':
      return [false, weakest];
    case 'disable':
      return [false];
    default:
      throw new ConfigurationError(
        'EDGE_MIGRATION_DATABASE_URL has an unknown sslmode: disable, allow, prefer, require, verify-ca and verify-full are known',
      );
  }
}

type Verification = 'always' | 'authority' | 'by mode';

/**
 * The files that our variables name, else those of the URL. With an authority in the URL, libpq at least verifies that
 * it signed the certificate; one in our variable, or `sslrootcert=system`, demands full verification.
 */
function readCertificates(settings: CoreSettings, parameters: URLSearchParams) {
  const root = parameters.get('sslrootcert');
  const trustsSystem = settings.databaseCaFile === undefined && root === 'system';
  const read = (key: 'ca' | 'cert' | 'key', variable: string, path: string | undefined, parameter: string) =>
    readFile(key, variable, path) ??
    readFile(key, `${parameter} in EDGE_MIGRATION_DATABASE_URL`, parameters.get(parameter) ?? undefined);
  const { databaseCaFile, databaseCertificateFile, databaseKeyFile } = settings;
  const certificates: ConnectionOptions = {
    ...(trustsSystem ? {} : read('ca', 'EDGE_MIGRATION_DATABASE_CA_FILE', databaseCaFile, 'sslrootcert')),
    ...read('cert', 'EDGE_MIGRATION_DATABASE_CERTIFICATE_FILE', databaseCertificateFile, 'sslcert'),
    ...read('key', 'EDGE_MIGRATION_DATABASE_KEY_FILE', databaseKeyFile, 'sslkey'),
  };
  if ((certificates.cert === undefined) !== (certificates.key === undefined)) {
    throw new ConfigurationError(
      'EDGE_MIGRATION_DATABASE_CERTIFICATE_FILE and EDGE_MIGRATION_DATABASE_KEY_FILE must be set together',
    );
  }
  const always = trustsSystem || databaseCaFile !== undefined;
  const verify: Verification = always ? 'always' : certificates.ca === undefined ? 'by mode' : 'authority';
  return { certificates, verify };
}

function readFile(key: string, place: string, path: string | undefined): ConnectionOptions | undefined {
  if (path === undefined) return undefined;
  try {
    return { [key]: readFileSync(path, 'utf8') };
  } catch (cause) {
    throw new ConfigurationError(`the file that ${place} names cannot be read`, { cause });
  }
}

function decode(text: string): string {
  return text.replace(/(?:%[0-9a-fA-F]{2})+/g, (escaped) => {
    try {
      return decodeURIComponent(escaped);
    } catch {
      return escaped; // not an escape after all, but part of a password
    }
  });
}
