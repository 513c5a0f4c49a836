import { createServer } from 'node:net';
import { ConfigurationError } from '@edge-migration/runtime/configuration.ts';
import { createDatabase, type TestDatabase } from '@edge-migration/test/cluster/shared.ts';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type Database, type DatabaseOptions, openDatabase } from './database.ts';
import { CoreError, CoreRefusedError, CoreTimeoutError, CoreUnreachableError, CoreUnsupportedError } from './errors.ts';

let database: TestDatabase;
const opened: Database[] = [];

beforeAll(async () => {
  database = await createDatabase();
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((core) => core.close()));
});
afterAll(() => database.drop());

function open(databaseUrl = database.url, options: Partial<DatabaseOptions> = {}): Database {
  const core = openDatabase({ databaseUrl }, { maxConnections: 2, ...options });
  opened.push(core);
  return core;
}

const one = (core: Database, signal?: AbortSignal) =>
  core.read(async (query) => (await query<{ one: number }>('SELECT 1 AS one'))[0]?.one, signal);

async function administer(...statements: string[]): Promise<void> {
  const client = new Client(database.url);
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

function changed(url: string, change: (url: URL) => void): string {
  const parsed = new URL(url);
  change(parsed);
  return parsed.href;
}

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => expect.fail('must be rejected'),
    (error: unknown) => error,
  );

test('a read sees one snapshot in a read-only transaction', async () => {
  const core = open();
  const seen = await core.read(async (query) => {
    const [before] = await query<{ n: string }>('SELECT count(*) AS n FROM organisations_organisation');
    await administer(
      'INSERT INTO organisations_organisation (persist_trait_data, stop_serving_flags) VALUES (true, false)',
    );
    const [after] = await query<{ n: string }>('SELECT count(*) AS n FROM organisations_organisation');
    return [before?.n, after?.n];
  });
  expect(seen).toEqual(['0', '0']);
  const write = core.read((query) => query('DELETE FROM organisations_organisation'));
  await expect(write).rejects.toThrow(CoreError);
  await expect(write).rejects.toThrow(/read-only transaction/);
});

test('settings of the role do not change the results of reads', async () => {
  const name = new URL(database.url).pathname.slice(1);
  await administer(
    `ALTER DATABASE "${name}" SET extra_float_digits = -15`,
    `ALTER DATABASE "${name}" SET search_path = pg_catalog`,
  );
  try {
    const [row] = await open().read((query) =>
      query<{ third: string; table: string }>(
        `SELECT to_json(0.30000000000000004::float8)::text AS third, 'environments_identity'::regclass::text AS table`,
      ),
    );
    expect(row).toEqual({ third: '0.30000000000000004', table: 'environments_identity' });
  } finally {
    await administer(`ALTER DATABASE "${name}" RESET ALL`);
  }
});

test('more reads than connections wait for their turn', async () => {
  const core = open();
  expect(await Promise.all(Array.from({ length: 20 }, () => one(core)))).toEqual(Array(20).fill(1));
});

test('a failing statement closes only its own connection and leaves the core usable', async () => {
  const core = open(undefined, { maxConnections: 1 });
  await expect(core.read((query) => query('SELECT * FROM nowhere'))).rejects.toThrow(CoreUnsupportedError);
  await expect(core.read((query) => query('SELECT 1/0'))).rejects.toThrow(/22012/);
  await expect(core.read(() => Promise.reject(new Error('mine')))).rejects.toThrow('mine');
  expect(await one(core)).toBe(1);
});

test('a statement that takes too long is a timeout', async () => {
  const slow = open(undefined, { statementTimeoutMs: 50 }).read((query) => query('SELECT pg_sleep(20)'));
  await expect(slow).rejects.toThrow(CoreTimeoutError);
});

test('an abort rejects at once with its reason and frees the connection', async () => {
  const core = open(undefined, { maxConnections: 1 });
  const controller = new AbortController();
  const reason = new Error('shutting down');
  const reading = core.read(async (query) => {
    const sleeping = query('SELECT pg_sleep(20)');
    controller.abort(reason);
    return sleeping;
  }, controller.signal);
  expect(await failure(reading)).toBe(reason);
  expect(await one(core)).toBe(1);
  expect(await failure(one(core, controller.signal))).toBe(reason);
});

test('an abort while waiting for a connection rejects at once and leaks none', async () => {
  const core = open(undefined, { maxConnections: 1 });
  const controller = new AbortController();
  const { promise: gate, resolve: release } = Promise.withResolvers<void>();
  const holding = core.read(async (query) => {
    await query('SELECT 1');
    await gate;
  });
  const waiting = one(core, controller.signal);
  controller.abort(new Error('shutting down'));
  await expect(waiting).rejects.toThrow('shutting down');
  release();
  await holding;
  expect(await one(core)).toBe(1);
});

test('a connection that the server ends is unreachable once, and the next read opens another one', async () => {
  const core = open(undefined, { maxConnections: 1 });
  const killed = core.read(async (query) => {
    const [me] = await query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await administer(`SELECT pg_terminate_backend(${me?.pid})`);
    return query('SELECT 1');
  });
  await expect(killed).rejects.toThrow(CoreUnreachableError);
  expect(await one(core)).toBe(1);
});

test('a closed port is unreachable, and the message names the place but no password', async () => {
  const url = changed(database.url, (parsed) => {
    parsed.port = '1';
    parsed.password = 'hunter2';
  });
  const error = await failure(one(open(url)));
  expect(error).toBeInstanceOf(CoreUnreachableError);
  expect(String(error)).toMatch(/127\.0\.0\.1:1\/.+ECONNREFUSED/);
  expect(String(error)).not.toContain('hunter2');
});

const HTTP = 'HTTP/1.1 400 Bad Request\r\n\r\n';

test.for<[string, string, string | Buffer]>([
  ['a web server', 'prefer', HTTP],
  ['a web server', 'require', HTTP],
  ['a web server', 'disable', HTTP],
  ['a server with its own protocol', 'disable', Buffer.from([1, 0, 0, 0, 4])],
])('a place where %s answers is also unreachable, with sslmode=%s', async ([, mode, answer]) => {
  const stranger = createServer((socket) => socket.on('error', () => {}).once('data', () => socket.end(answer)));
  await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void stranger.close());
  const { port } = stranger.address() as { port: number };
  const url = changed(database.url, (parsed) => {
    parsed.port = String(port);
    parsed.searchParams.set('sslmode', mode);
  });
  const error = await failure(one(open(url)));
  expect(error).toBeInstanceOf(CoreUnreachableError);
  expect(String(error)).toContain('check host, port');
});

test('a host that accepts but never answers is a timeout', async () => {
  const sockets = new Set<{ destroy(): void }>();
  const silent = createServer((socket) => sockets.add(socket));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as { port: number };
  const url = changed(database.url, (parsed) => {
    parsed.port = String(port);
  });
  await expect(one(open(url, { connectTimeoutMs: 100 }))).rejects.toThrow(CoreTimeoutError);
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => silent.close(resolve));
});

test.each([
  ['a wrong password', { password: 'wrong' }],
  ['an unknown user', { username: 'nobody_knows' }],
  ['an unknown database', { pathname: '/nowhere' }],
])('%s is refused with advice on what to check', async (_, parts) => {
  const error = await failure(one(open(changed(database.url, (url) => Object.assign(url, parts)))));
  expect(error).toBeInstanceOf(CoreRefusedError);
  expect(String(error)).toMatch(/check user, password, database name/);
});

test('a user without rights is refused', async () => {
  await administer(`CREATE ROLE powerless_${process.pid} LOGIN PASSWORD 'x'`);
  try {
    const url = changed(database.url, (parsed) => {
      parsed.username = `powerless_${process.pid}`;
      parsed.password = 'x';
    });
    await expect(open(url).read((query) => query('SELECT * FROM environments_identity'))).rejects.toThrow(
      CoreRefusedError,
    );
  } finally {
    await administer(`DROP ROLE powerless_${process.pid}`);
  }
});

test('rows hidden by row-level security are refused, not mistaken for deleted ones', async () => {
  const role = `limited_${process.pid}`;
  await administer(
    `CREATE ROLE ${role} LOGIN PASSWORD 'x'`,
    `GRANT SELECT ON environments_identity TO ${role}`,
    'ALTER TABLE environments_identity ENABLE ROW LEVEL SECURITY',
  );
  try {
    const url = changed(database.url, (parsed) => Object.assign(parsed, { username: role, password: 'x' }));
    const error = await failure(open(url).read((query) => query('SELECT count(*) FROM environments_identity')));
    expect(error).toBeInstanceOf(CoreRefusedError);
    expect(String(error)).toMatch(/row-level security.+BYPASSRLS/);
    await administer(`ALTER ROLE ${role} BYPASSRLS`);
    expect(await open(url).read((query) => query('SELECT id FROM environments_identity'))).toEqual([]);
  } finally {
    await administer(
      'ALTER TABLE environments_identity DISABLE ROW LEVEL SECURITY',
      `REVOKE ALL ON environments_identity FROM ${role}`,
      `DROP ROLE ${role}`,
    );
  }
});

test('closing waits for running reads, refuses new ones and may be repeated', async () => {
  const core = open();
  const reading = one(core);
  await Promise.all([core.close(), core.close(), reading]);
  await expect(one(core)).rejects.toThrow();
});

test('an invalid URL is a configuration error that does not repeat it', () => {
  expect(() => open('mysql://secret@host/db')).toThrow(ConfigurationError);
  expect(() => open('mysql://secret@host/db')).not.toThrow(/secret/);
});
