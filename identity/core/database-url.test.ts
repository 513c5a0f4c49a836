import { expect, test } from 'vitest';
import { parseDatabaseUrl } from './database-url.ts';

const parse = (databaseUrl: string) => parseDatabaseUrl({ databaseUrl });

test('the ordinary form', () => {
  expect(parse('postgres://flagsmith:secret@db.example:6432/core')).toEqual({
    host: 'db.example',
    port: 6432,
    database: 'core',
    user: 'flagsmith',
    password: 'secret',
    ssl: false,
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

test('IPv6 hosts and Unix sockets', () => {
  expect(parse('postgres://u:p@[::1]:5433/d')).toMatchObject({ host: '::1', port: 5433 });
  expect(parse('postgres://u:p@%2Fvar%2Frun%2Fpostgresql/d')).toMatchObject({ host: '/var/run/postgresql' });
});

test('a user without password', () => {
  expect(parse('postgres://u@h/d')).toMatchObject({ user: 'u', password: undefined });
});

test.each([
  ['disable', false],
  ['prefer', false],
  ['require', { rejectUnauthorized: false }],
  ['verify-full', {}],
])('sslmode %s', (mode, ssl) => {
  expect(parse(`postgres://u:p@h/d?connect_timeout=1&sslmode=${mode}`).ssl).toEqual(ssl);
});

test.each(['postgres://u:p@h', 'postgres://u:p@h/', 'http://u:p@h/d', '', 'postgres://u:p@h:port/d'])(
  '%s is refused',
  (url) => {
    expect(() => parse(url)).toThrow(/postgres:\/\/user:password@host:port\/database/);
  },
);

test('an unknown sslmode is refused', () => {
  expect(() => parse('postgres://u:p@h/d?sslmode=maybe')).toThrow(/unknown sslmode/);
});

test('certificate files are checked at start, by the name of their variable', () => {
  const settings = { databaseUrl: 'postgres://u:p@h/d' };
  expect(() => parseDatabaseUrl({ ...settings, databaseCaFile: '/nowhere/ca.pem' })).toThrow(
    /EDGE_MIGRATION_DATABASE_CA_FILE names cannot be read/,
  );
  expect(() => parseDatabaseUrl({ ...settings, databaseCertificateFile: import.meta.filename })).toThrow(
    /must be set together/,
  );
});
