import { describe, expect, test } from 'vitest';
import { parseDatabaseUrl } from './database-url.ts';

const parse = (databaseUrl: string) => parseDatabaseUrl({ databaseUrl });

test('a URL of the ordinary form is parsed', () => {
  expect(parse('postgres://flagsmith:secret@db.example:6432/core')).toEqual({
    host: 'db.example',
    port: 6432,
    database: 'core',
    user: 'flagsmith',
    password: 'secret',
    encryptions: [{ rejectUnauthorized: false }, false],
  });
});

test('port 5432 is the default, and the scheme may be postgresql', () => {
  expect(parse('postgresql://u:p@h/d')).toMatchObject({ host: 'h', port: 5432, database: 'd' });
});

test.each([
  ['p@ss:w/rd#1?', 'p@ss:w/rd#1?'],
  ['p%40ss', 'p@ss'],
  ['100%', '100%'],
  ['%zz%C3%A9', '%zzé'],
  ['%ff', '%ff'],
])('password %s is read as %s: the chart does not encode it', (written, password) => {
  expect(parse(`postgres://u:${written}@h:1/d`)).toMatchObject({ user: 'u', password, host: 'h', port: 1 });
});

test('IPv6 hosts and Unix sockets are parsed', () => {
  expect(parse('postgres://u:p@[::1]:5433/d')).toMatchObject({ host: '::1', port: 5433 });
  expect(parse('postgres://u:p@%2Fvar%2Frun%2Fpostgresql/d')).toMatchObject({ host: '/var/run/postgresql' });
});

test('a user without a password is accepted', () => {
  expect(parse('postgres://u@h/d')).toMatchObject({ user: 'u', password: undefined });
});

const TRUSTING = { rejectUnauthorized: false };
const VERIFYING = {};
const VERIFYING_AUTHORITY = { checkServerIdentity: expect.any(Function) };

describe('TLS as libpq chooses it', () => {
  test.each([
    ['', [TRUSTING, false]],
    ['sslmode=prefer', [TRUSTING, false]],
    ['sslmode=allow', [false, TRUSTING]],
    ['sslmode=disable', [false]],
    ['sslmode=require', [TRUSTING]],
    ['sslmode=verify-ca', [VERIFYING_AUTHORITY]],
    ['sslmode=verify-full', [VERIFYING]],
    ['sslrootcert=system', [VERIFYING]],
  ])('the parameters "%s" choose TLS as libpq does', (parameters, encryptions) => {
    expect(parse(`postgres://u:p@h/d?connect_timeout=1&${parameters}`).encryptions).toEqual(encryptions);
  });

  const here = encodeURIComponent(import.meta.filename);
  test.each([
    ['', [{ ca: expect.any(String), ...VERIFYING_AUTHORITY }, false]],
    ['&sslmode=require', [{ ca: expect.any(String), ...VERIFYING_AUTHORITY }]],
    ['&sslmode=verify-full', [{ ca: expect.any(String) }]],
    ['&sslmode=disable', [false]],
  ])('an authority in sslrootcert is at least verified: %s', (parameters, encryptions) => {
    expect(parse(`postgres://u:p@h/d?sslrootcert=${here}${parameters}`).encryptions).toEqual(encryptions);
  });

  test('a client certificate is read from sslcert and sslkey', () => {
    const [first] = parse(`postgres://u:p@h/d?sslcert=${here}&sslkey=${here}`).encryptions;
    expect(first).toEqual({ ...TRUSTING, cert: expect.any(String), key: expect.any(String) });
  });

  test('TLS is not used on a Unix socket', () => {
    expect(parse('postgres:///d?host=/var/run/postgresql&sslmode=require')).toMatchObject({
      host: '/var/run/postgresql',
      encryptions: [false],
    });
  });
});

test('parameters take precedence over the parts of the URL', () => {
  expect(parse('postgres://u:p@h/d?host=h2&port=5433&user=u2&password=p2&dbname=d2')).toMatchObject({
    host: 'h2',
    port: 5433,
    user: 'u2',
    password: 'p2',
    database: 'd2',
  });
});

test('several hosts are refused: only the primary is usable', () => {
  expect(() => parse('postgres://u:p@one,two/d')).toThrow(/names several hosts: give the address of the primary/);
});

test.each(['postgres://u:p@h', 'postgres://u:p@h/', 'http://u:p@h/d', '', 'postgres://u:p@h:port/d'])(
  'the URL "%s" is refused',
  (url) => {
    expect(() => parse(url)).toThrow(/postgres:\/\/user:password@host:port\/database/);
  },
);

test('an unknown sslmode is refused', () => {
  expect(() => parse('postgres://u:p@h/d?sslmode=maybe')).toThrow(/unknown sslmode/);
});

test('certificate files are checked at start, and errors name their variable', () => {
  const settings = { databaseUrl: 'postgres://u:p@h/d' };
  expect(() => parseDatabaseUrl({ ...settings, databaseCaFile: '/nowhere/ca.pem' })).toThrow(
    /EDGE_MIGRATION_DATABASE_CA_FILE names cannot be read/,
  );
  expect(() => parse('postgres://u:p@h/d?sslrootcert=/nowhere/ca.pem')).toThrow(
    /sslrootcert in EDGE_MIGRATION_DATABASE_URL names cannot be read/,
  );
  expect(() => parseDatabaseUrl({ ...settings, databaseCertificateFile: import.meta.filename })).toThrow(
    /must be set together/,
  );
});
