import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { ConfigurationError } from '../config/environment.ts';

/** What of {@link import('../config/stores.ts').coreSettings} a connection needs. */
export interface CoreSettings {
  readonly databaseUrl: string;
  readonly databaseCaFile?: string | undefined;
  readonly databaseCertificateFile?: string | undefined;
  readonly databaseKeyFile?: string | undefined;
}

export interface CoreAddress {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string | undefined;
  readonly ssl: ConnectionOptions | false;
}

/** The password may hold `@`, `/`, `#` and `?` as they are: Flagsmith's chart does not encode it. Hence "up to the last @". */
const URL_PARTS =
  /^postgres(?:ql)?:\/\/(?:([^:@/]*)(?::(.*))?@)?(\[[^\]]+\]|[^:@/?#]*)(?::([0-9]+))?\/([^?#]*)(?:\?([^#]*))?$/s;

/**
 * Parses `postgres://user:password@host:port/database?sslmode=…` as Flagsmith does (percent-decoding that leaves
 * broken sequences alone) and reads the certificate files.
 *
 * TLS: `sslmode` as in libpq (`disable`, `require` without and `verify-ca`, `verify-full` with verification), and a CA
 * file always switches verification on.
 *
 * @throws ConfigurationError that names the variable, never a value
 */
export function parseDatabaseUrl(settings: CoreSettings): CoreAddress {
  const [, user, password, host, port, database, parameters] = URL_PARTS.exec(settings.databaseUrl) ?? [];
  if (host === undefined || database === undefined || database === '') {
    throw new ConfigurationError(
      'EDGE_MIGRATION_DATABASE_URL must have the form postgres://user:password@host:port/database',
    );
  }
  return {
    host: decode(host.replace(/^\[(.*)\]$/, '$1')) || 'localhost',
    port: Number(port ?? 5432),
    database: decode(database),
    user: decode(user ?? ''),
    password: password === undefined ? undefined : decode(password),
    ssl: tlsOptions(settings, new URLSearchParams(parameters ?? '').get('sslmode')),
  };
}

function tlsOptions(settings: CoreSettings, mode: string | null): ConnectionOptions | false {
  const certificates = {
    ...file('ca', 'EDGE_MIGRATION_DATABASE_CA_FILE', settings.databaseCaFile),
    ...file('cert', 'EDGE_MIGRATION_DATABASE_CERTIFICATE_FILE', settings.databaseCertificateFile),
    ...file('key', 'EDGE_MIGRATION_DATABASE_KEY_FILE', settings.databaseKeyFile),
  };
  if ((certificates.cert === undefined) !== (certificates.key === undefined)) {
    throw new ConfigurationError(
      'EDGE_MIGRATION_DATABASE_CERTIFICATE_FILE and EDGE_MIGRATION_DATABASE_KEY_FILE must be set together',
    );
  }
  if (certificates.ca !== undefined) {
    // verify-ca vouches for the authority only: the name in the certificate may be any.
    return mode === 'verify-ca' ? { ...certificates, checkServerIdentity: () => undefined } : certificates;
  }
  switch (mode) {
    case 'verify-full':
      return certificates;
    case 'verify-ca':
      return { ...certificates, checkServerIdentity: () => undefined };
    case 'require':
    case 'no-verify':
      return { ...certificates, rejectUnauthorized: false };
    case null:
    case 'disable':
    case 'allow':
    case 'prefer':
      return certificates.cert === undefined ? false : certificates;
    default:
      throw new ConfigurationError('EDGE_MIGRATION_DATABASE_URL has an unknown sslmode');
  }
}

function file<K extends string>(key: K, variable: string, path: string | undefined): { [P in K]?: string } {
  if (path === undefined) return {};
  try {
    return { [key]: readFileSync(path, 'utf8') } as { [P in K]?: string };
  } catch (cause) {
    throw new ConfigurationError(`The file that ${variable} names cannot be read`, { cause });
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
