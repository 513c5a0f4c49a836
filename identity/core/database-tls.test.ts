import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, TLSSocket } from 'node:tls';
import { createDatabase, type TestDatabase } from '@edge-migration/test/cluster/shared.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openDatabase } from './database.ts';
import type { CoreSettings } from './database-url.ts';
import { CoreRefusedError } from './errors.ts';

const folder = mkdtempSync(join(tmpdir(), 'core-tls-'));
const path = (name: string) => join(folder, name);
const sockets = new Set<Socket>();
let database: TestDatabase;
let server: Server;
let clientName: string | undefined;
let encrypted = false;

beforeAll(async () => {
  certificate('ca', 'Test authority');
  certificate('server', 'db.test', 'ca');
  certificate('client', 'edge-migration', 'ca');
  certificate('stranger', 'Another authority');
  database = await createDatabase();
  server = await startTlsServer(new URL(database.url));
});

afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
  await database.drop();
  rmSync(folder, { recursive: true });
});

test('sslmode=require encrypts and trusts any certificate', async () => {
  expect(await read({}, 'require')).toBe(1);
});

test('without sslmode the server decides whether TLS is used', async () => {
  expect(await read({})).toBe(1);
  expect(encrypted).toBe(true);
  const plain = openDatabase({ databaseUrl: database.url }, { maxConnections: 4 });
  const reads = Array.from({ length: 4 }, () => plain.read((query) => query('SELECT 1 AS one')));
  expect(await Promise.all(reads)).toHaveLength(4);
  await plain.close();
});

test('when TLS is required and not offered, the error names the setting that requires it', async () => {
  const core = openDatabase({ databaseUrl: `${database.url}?sslmode=require` }, { maxConnections: 1 });
  await expect(core.read((query) => query('SELECT 1'))).rejects.toThrow(/offers no TLS.* use sslmode=prefer/);
  await core.close();
});

test('a server that accepts only TLS connections gets one, or the error says what to set', async () => {
  await using strict = await startRefusing(
    'no pg_hba.conf entry for host "10.0.0.1", user "u", database "d", no encryption',
  );
  const url = (mode: string) => `postgres://u:p@localhost:${strict.port}/d?sslmode=${mode}`;
  const core = openDatabase({ databaseUrl: url('disable') }, { maxConnections: 1 });
  await expect(core.read((query) => query('SELECT 1'))).rejects.toThrow(/without TLS.*set sslmode=require/);
  await core.close();
  const allowing = openDatabase({ databaseUrl: url('allow') }, { maxConnections: 1 });
  await expect(allowing.read((query) => query('SELECT 1'))).rejects.toThrow(/offers no TLS/);
  await allowing.close();
  expect(strict.asked).toEqual(['plain', 'plain', 'TLS']);
});

test('an unverifiable certificate is an error, not a reason to continue without TLS', async () => {
  await expect(read({}, undefined, 'localhost', path('stranger.pem'))).rejects.toThrow(
    /cannot be verified.*sslrootcert/,
  );
});

test('a CA file enables verification: the right authority and the right name are accepted', async () => {
  expect(await read({ databaseCaFile: path('ca.pem') })).toBe(1);
  expect(await read({ databaseCaFile: path('ca.pem') }, 'require')).toBe(1);
});

test('a certificate of another authority is refused', async () => {
  await expect(read({ databaseCaFile: path('stranger.pem') })).rejects.toThrow(CoreRefusedError);
  await expect(read({}, 'verify-full')).rejects.toThrow(CoreRefusedError);
});

test('a certificate for another host is refused, unless only the authority is to be verified', async () => {
  await expect(read({ databaseCaFile: path('ca.pem') }, undefined, '127.0.0.1')).rejects.toThrow(CoreRefusedError);
  expect(await read({ databaseCaFile: path('ca.pem') }, 'verify-ca', '127.0.0.1')).toBe(1);
});

test('the client certificate is presented', async () => {
  const client = { databaseCertificateFile: path('client.pem'), databaseKeyFile: path('client.key') };
  expect(await read({ databaseCaFile: path('ca.pem'), ...client })).toBe(1);
  expect(clientName).toBe('edge-migration');
});

async function read(
  settings: Omit<CoreSettings, 'databaseUrl'>,
  mode?: string,
  host = 'localhost',
  root?: string,
): Promise<unknown> {
  const url = new URL(database.url);
  url.hostname = host;
  url.port = String((server.address() as AddressInfo).port);
  if (mode !== undefined) url.searchParams.set('sslmode', mode);
  if (root !== undefined) url.searchParams.set('sslrootcert', root);
  encrypted = false;
  const core = openDatabase({ databaseUrl: url.href, ...settings }, { maxConnections: 1 });
  try {
    return await core.read(async (query) => (await query<{ one: number }>('SELECT 1 AS one'))[0]?.one);
  } finally {
    await core.close();
  }
}

/** Postgres's handshake in front of the shared server, which has no TLS: the client asks, we answer S, then TLS. */
async function startTlsServer(target: URL): Promise<Server> {
  const started = createServer((socket) => {
    keep(socket);
    socket.once('data', () => {
      socket.write('S');
      const secure = keep(
        new TLSSocket(socket, {
          isServer: true,
          requestCert: true,
          rejectUnauthorized: false,
          secureContext: createSecureContext({
            cert: readFileSync(path('server.pem')),
            key: readFileSync(path('server.key')),
            ca: readFileSync(path('ca.pem')),
          }),
        }),
      );
      secure.once('secure', () => {
        encrypted = true;
        const name = (secure as TLSSocket).getPeerCertificate().subject?.CN;
        clientName = Array.isArray(name) ? name[0] : name;
      });
      const upstream = keep(connect(Number(target.port), target.hostname));
      secure.pipe(upstream).pipe(secure);
    });
  });
  await new Promise<void>((resolve) => started.listen(0, '::', resolve));
  return started;
}

/** A server without TLS that refuses every user with these words; and the requests that it got, in order. */
async function startRefusing(message: string) {
  const asked: string[] = [];
  const refusing = createServer((socket) => {
    keep(socket).once('data', (head) => {
      // The code of an SSLRequest instead of the version of the protocol.
      const isTls = head.readUInt32BE(4) === 80877103;
      asked.push(isTls ? 'TLS' : 'plain');
      if (isTls) return void socket.end('N');
      const fields = Buffer.from(`SFATAL\0C28000\0M${message}\0\0`);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(fields.length + 4);
      socket.end(Buffer.concat([Buffer.from('E'), length, fields]));
    });
  });
  await new Promise<void>((resolve) => refusing.listen(0, '::', resolve));
  const { port } = refusing.address() as AddressInfo;
  return { port, asked, [Symbol.asyncDispose]: async () => void refusing.close() };
}

function keep(socket: Socket): Socket {
  sockets.add(socket);
  return socket.on('error', () => {});
}

/** Self-signed, or signed by `authority`, valid for localhost. */
function certificate(name: string, commonName: string, authority?: string): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', path(`${name}.key`)];
  const signer = authority === undefined ? [] : ['-CA', path(`${authority}.pem`), '-CAkey', path(`${authority}.key`)];
  const subject = ['-subj', `/CN=${commonName}`, '-addext', 'subjectAltName=DNS:localhost', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...key, ...signer, ...subject, '-out', path(`${name}.pem`)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}
