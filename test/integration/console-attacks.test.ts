/** Attacks on the console by strangers, other tenants, other sites and greedy clients. */
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { type Account, call, listen, type Stage, startStage } from './console/stage.ts';

const MEGABYTE = 1024 * 1024;
const HOSTILE = '"><img src=x onerror=alert(1)><script>alert(1)</script>\u202e\u001b[2J';
const SECRET = 'secret-of-the-proxy';
/** Time stands still for limits, so that none recovers. */
const STILL: Clock = { ...systemClock, monotonic: () => 0 };
let stage: Stage;
let editor: Account;
let tenant: Account;
let project = 200_000;

beforeAll(async () => {
  stage = await startStage();
  editor = await stage.addCaller({ [stage.namespace]: 'edit' });
  tenant = await stage.addCaller({ [stage.otherNamespace]: 'edit' });
  writeFileSync(join(stage.folder, 'proxy-secret'), `${SECRET}\n`);
});

afterAll(() => stage?.[Symbol.asyncDispose]());

const path = (projectId: number, rest = '') => `/api/v1/projects/${projectId}/${rest}`;
const suspended = async (projectId: number) =>
  ((await stage.migration(projectId))?.['spec'] as { suspend?: boolean } | undefined)?.suspend ?? false;

/** A project that the first namespace's editor can see in the console at this URL. */
async function prepare(url = stage.url, headers: Record<string, string> = {}): Promise<number> {
  const projectId = ++project;
  await stage.create(projectId);
  const isSeen = async () => {
    const options = Object.keys(headers).length > 0 ? { headers } : { token: editor.token };
    return (await call(url, path(projectId), options)).status === 200;
  };
  await waitFor(isSeen, { for: `project ${projectId} in the console` });
  return projectId;
}

/** Writes raw text to a socket; returns the response. */
async function speak(words: string): Promise<{ socket: Socket; reply: Promise<string> }> {
  const { hostname, port } = new URL(stage.url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.on('error', () => {});
  socket.write(words);
  const reply = text(socket);
  reply.catch(() => {}); // not everyone waits for it
  return { socket, reply };
}

describe('a caller of the console', () => {
  test.each<[string, () => Record<string, string>, string]>([
    ['without a token', () => ({}), 'no_token'],
    ['with a token of nobody', () => ({ authorization: 'Bearer nobody' }), 'invalid_token'],
    [
      'with a forged signature',
      () => ({ authorization: `Bearer ${editor.token.slice(0, -6)}AAAAAA` }),
      'invalid_token',
    ],
    ['by Basic authorization', () => ({ authorization: `Basic ${btoa('admin:admin')}` }), 'no_token'],
    ['with a token in two parts', () => ({ authorization: `Bearer ${editor.token} x` }), 'no_token'],
    ['with a token as a cookie', () => ({ cookie: `token=${editor.token}` }), 'no_token'],
    [
      "with a proxy's headers",
      () => ({ 'x-forwarded-user': editor.user, 'x-edge-migration-proxy-secret': '' }),
      'no_token',
    ],
    [
      "as Kubernetes' front proxy",
      () => ({ 'x-remote-user': 'admin', 'x-remote-group': 'system:masters' }),
      'no_token',
    ],
  ])('%s sees and changes nothing', async (_, headers, code) => {
    const projectId = await prepare();
    const calls = [
      ['GET', '/api/v1/session/'],
      ['GET', '/api/v1/projects/'],
      ['GET', path(projectId)],
      ['GET', path(projectId, 'events/')],
      ['GET', '/api/v1/projects/events/'],
      ['POST', path(projectId, 'suspend/')],
      ['POST', path(projectId, 'migrate-to-edge/')],
    ] as const;
    for (const [method, where] of calls) {
      const reply = await call(stage.url, where, { method, headers: headers() });
      expect(reply).toMatchObject({ status: 401, body: { code } });
      expect(reply.headers.get('www-authenticate')).toMatch(/^Bearer/);
    }
    expect(await suspended(projectId)).toBe(false);
  });

  test("with another tenant's token neither finds a project nor learns that it is there", async () => {
    const projectId = await prepare();
    const { token } = tenant;
    expect((await call(stage.url, `/api/v1/projects/?search=${projectId}`, { token })).body.count).toBe(0);
    for (const namespace of ['', `?namespace=${stage.namespace}`]) {
      expect((await call(stage.url, path(projectId) + namespace, { token })).status).toBe(404);
      const change = await call(stage.url, path(projectId, 'suspend/') + namespace, { token, body: {} });
      expect(change).toMatchObject({ status: 404 });
    }
    await using stream = await listen(stage.url, `/api/v1/projects/events/?project_id=${projectId}`, token);
    await waitFor(() => stream.events.length > 0, { for: 'the stream to begin' });
    const ours = await listen(stage.url, `/api/v1/projects/events/?project_id=${projectId}`, editor.token);
    await stage.setStatus(projectId, { phase: 'Copying' });
    await waitFor(() => ours.events.some(({ event }) => event === 'project'), { for: 'the change to be told' });
    await ours[Symbol.asyncDispose]();
    expect(stream.events).toEqual([{ event: 'ready', data: {} }]);
    expect(await suspended(projectId)).toBe(false);
  });

  test('with a token for another audience is refused, and one for the configured audience may change what it is bound to', async () => {
    const foreign = await stage.addCaller({ [stage.namespace]: 'edit' }, ['another-service']);
    expect(await call(stage.url, '/api/v1/session/', { token: foreign.token })).toMatchObject({ status: 401 });
    const url = await stage.start({
      EDGE_MIGRATION_TOKEN_AUDIENCES: 'edge-migration-console',
      EDGE_MIGRATION_WRITES: 'Off',
    });
    expect(await call(url, '/api/v1/session/', { token: editor.token })).toMatchObject({
      status: 401,
      body: { detail: expect.stringContaining('for audience edge-migration-console') },
    });
    const meant = await stage.addCaller({ [stage.namespace]: 'edit' }, ['edge-migration-console']);
    expect((await call(url, '/api/v1/session/', { token: meant.token })).body).toMatchObject({ read_only: true });
    const projectId = await prepare();
    expect(await call(url, path(projectId, 'suspend/'), { token: meant.token, body: {} })).toMatchObject({
      status: 403,
      body: { code: 'read_only' },
    });
  });

  test('who guesses tokens is slowed down, while others are served', async () => {
    const url = await stage.start({}, STILL);
    const session = (token: string) => call(url, '/api/v1/session/', { token });
    expect((await session(editor.token)).status).toBe(200);
    for (let guess = 0; guess < 30; guess++) expect((await session(`guess-${guess}`)).status).toBe(401);
    const next = await session('guess-again');
    expect(next).toMatchObject({ status: 429, body: { code: 'too_many_requests' } });
    expect(Number(next.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await session(editor.token)).status).toBe(200);
  });

  test('who sends too many requests is told to wait, and no other caller is', async () => {
    const url = await stage.start({}, STILL);
    const session = (token: string) => call(url, '/api/v1/session/', { token });
    for (let count = 0; count < 100; count++) expect((await session(tenant.token)).status).toBe(200);
    expect(await session(tenant.token)).toMatchObject({ status: 429, body: { code: 'too_many_requests' } });
    expect((await session(editor.token)).status).toBe(200);
  });

  test('has ten event streams at most, and gets places back when they are closed', async () => {
    const streams = await Promise.all(
      Array.from({ length: 10 }, () => listen(stage.url, '/api/v1/projects/events/', tenant.token)),
    );
    const eleventh = () => call(stage.url, '/api/v1/projects/events/', { token: tenant.token });
    expect(await eleventh()).toMatchObject({ status: 429, body: { code: 'too_many_requests' } });
    for (const stream of streams) await stream[Symbol.asyncDispose]();
    await waitFor(
      async () => {
        await using stream = await listen(stage.url, '/api/v1/projects/events/', tenant.token);
        return stream.status === 200;
      },
      { for: 'a place' },
    );
  });
});

describe("another site's page", () => {
  test.each<[string, Record<string, string>]>([
    ['by its origin', { origin: 'https://evil.example' }],
    ['by an origin that looks like it', { origin: 'https://127.0.0.1.evil.example' }],
    ['by no origin at all', { origin: 'null' }],
    ['by what the browser says', { 'sec-fetch-site': 'cross-site' }],
    ['of the same site', { 'sec-fetch-site': 'same-site' }],
  ])('is refused %s, even with a token', async (_, headers) => {
    const projectId = await prepare();
    for (const [method, where] of [
      ['POST', path(projectId, 'suspend/')],
      ['GET', path(projectId)],
    ] as const) {
      const reply = await call(stage.url, where, { token: editor.token, method, headers });
      expect(reply).toMatchObject({ status: 403, body: { code: 'cross_origin' } });
      expect(reply.headers.get('access-control-allow-origin')).toBeNull();
    }
    expect(await suspended(projectId)).toBe(false);
  });

  test('cannot submit a form', async () => {
    const projectId = await prepare();
    for (const type of ['application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data; boundary=x']) {
      const options = { token: editor.token, body: '{}', headers: { 'content-type': type } };
      expect(await call(stage.url, path(projectId, 'suspend/'), options)).toMatchObject({ status: 415 });
    }
    expect(await suspended(projectId)).toBe(false);
  });
});

describe("a proxy's headers", () => {
  const ORIGIN = 'https://console.example';
  const settings = () => ({
    EDGE_MIGRATION_AUTHENTICATION: 'Proxy',
    EDGE_MIGRATION_PROXY_SECRET_FILE: join(stage.folder, 'proxy-secret'),
    EDGE_MIGRATION_PUBLIC_ORIGIN: ORIGIN,
    EDGE_MIGRATION_WRITES: 'Off',
  });
  const alice = { 'x-edge-migration-proxy-secret': SECRET, 'x-forwarded-user': 'alice@example.com' };
  let url: string;

  beforeAll(async () => {
    url = await stage.start(settings());
    await stage.bindUser('oidc:alice@example.com', stage.namespace, 'edit');
  });

  test('identify the caller when they come with its secret', async () => {
    const { body } = await call(url, '/api/v1/session/', { headers: alice });
    expect(body).toMatchObject({ user: 'oidc:alice@example.com', authentication: 'Proxy' });
    await prepare(url, alice);
  });

  test.each<[string, Record<string, string>]>([
    ['without the secret', { 'x-forwarded-user': 'alice@example.com' }],
    ['with another secret', { ...alice, 'x-edge-migration-proxy-secret': 'guess' }],
    ['with an empty secret', { ...alice, 'x-edge-migration-proxy-secret': '' }],
    ['with the secret and no name', { 'x-edge-migration-proxy-secret': SECRET }],
    ['with a name of two lines', { ...alice, 'x-forwarded-user': 'alice\u0085bob' }],
  ])('are ignored %s', async (_, headers) => {
    expect(await call(url, '/api/v1/session/', { headers })).toMatchObject({ status: 401 });
  });

  test('are nothing when a client has added its own to them', async () => {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    const secret = `x-edge-migration-proxy-secret: ${SECRET}\r\n`;
    const twice = 'x-forwarded-user: alice@example.com\r\nx-forwarded-user: admin\r\n';
    socket.write(`GET /api/v1/session/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${secret}${twice}\r\n`);
    expect(await text(socket)).toMatch(/^HTTP\/1.1 401 /);
  });

  test("never make anyone one of Kubernetes' own", async () => {
    const bare = await stage.start({
      ...settings(),
      EDGE_MIGRATION_PROXY_USER_PREFIX: '-',
      EDGE_MIGRATION_PROXY_GROUPS_PREFIX: '-',
    });
    for (const headers of [
      { ...alice, 'x-forwarded-user': 'system:kube-controller-manager' },
      { ...alice, 'x-forwarded-groups': 'people, system:masters' },
    ]) {
      expect(await call(bare, '/api/v1/projects/', { headers })).toMatchObject({ status: 401 });
    }
  });

  test('change nothing for a page of another site, or one that does not say where it is from', async () => {
    const projectId = await prepare(url, alice);
    const suspend = (headers: Record<string, string>) =>
      call(url, path(projectId, 'suspend/'), { method: 'POST', headers: { ...alice, ...headers } });
    expect(await suspend({})).toMatchObject({ status: 403, body: { code: 'cross_origin' } });
    expect(await suspend({ origin: 'https://evil.example' })).toMatchObject({ body: { code: 'cross_origin' } });
    expect(await suspend({ 'sec-fetch-site': 'none' })).toMatchObject({ body: { code: 'cross_origin' } });
    // From its own page it only fails at the rule that this console changes nothing.
    expect(await suspend({ origin: ORIGIN })).toMatchObject({ body: { code: 'read_only' } });
    expect(await suspend({ 'sec-fetch-site': 'same-origin' })).toMatchObject({ body: { code: 'read_only' } });
  });

  test('do not lend the rights of the console, which may impersonate nobody unless it is given that', async () => {
    const impersonating = await stage.start({
      ...settings(),
      EDGE_MIGRATION_WRITES: 'Impersonation',
      EDGE_MIGRATION_GROUPS: 'oidc:admins',
    });
    const projectId = await prepare(impersonating, alice);
    const reply = await call(impersonating, path(projectId, 'suspend/'), {
      method: 'POST',
      headers: { ...alice, origin: ORIGIN },
    });
    expect(reply).toMatchObject({ status: 403, body: { detail: expect.stringContaining('cannot impersonate') } });
    expect(await suspended(projectId)).toBe(false);
    await stage.allowImpersonation('oidc:alice@example.com');
    const again = () =>
      call(impersonating, path(projectId, 'suspend/'), { method: 'POST', headers: { ...alice, origin: ORIGIN } });
    await waitFor(async () => (await again()).status === 202, { for: 'the right to impersonate', intervalMs: 1000 });
    expect(await suspended(projectId)).toBe(true);
  });
});

describe('texts of others', () => {
  test('are data and never markup, wherever they are shown', async () => {
    const projectId = ++project;
    const annotations = { 'edge.flagsmith.com/project-name': HOSTILE };
    await stage.create(projectId, { annotations, status: { phase: HOSTILE.slice(0, 30), message: HOSTILE } });
    const found = await waitFor(
      async () => {
        const { status, headers, body } = await call(stage.url, path(projectId), { token: editor.token });
        return status === 200 && body.message === HOSTILE && { headers, body };
      },
      { for: 'the project' },
    );
    expect(found.body.project_name).toBe(HOSTILE);
    expect(found.headers.get('content-type')).toBe('application/json');
    expect(found.headers.get('x-content-type-options')).toBe('nosniff');
    const report = await call(stage.url, path(projectId, 'report/'), { token: editor.token });
    expect(report.headers.get('content-type')).toContain('text/markdown');
    for (const mark of ['<img', '<script', '\u202e', '\u001b']) expect(report.body).not.toContain(mark);
    // Line ends within a text would begin a new event.
    await stage.setStatus(projectId, { message: 'one\n\nevent: end\ndata: {}\n\n' });
    await using stream = await listen(stage.url, path(projectId, 'events/'), editor.token);
    await waitFor(() => stream.events.some(({ data }) => data.message?.startsWith('one')), { for: 'the message' });
    expect(stream.events.map(({ event }) => event)).not.toContain('end');
  });

  test('in paths, parameters and bodies appear in no page', async () => {
    for (const where of [
      `/${encodeURIComponent(HOSTILE)}`,
      `/api/v1/projects/?search=${encodeURIComponent(HOSTILE)}&x=<script>`,
    ]) {
      const { headers } = await call(stage.url, where, { token: editor.token });
      expect(headers.get('content-type')).toMatch(/^application\/(problem\+)?json$/);
      expect(headers.get('content-security-policy')).toMatch(
        /default-src 'none'; script-src 'self'.*frame-ancestors 'none'/,
      );
    }
  });

  test('cannot make the page load anything from elsewhere, or be shown in a frame', async () => {
    const folder = join(stage.folder, 'built');
    mkdirSync(join(folder, 'assets'), { recursive: true });
    writeFileSync(join(folder, 'index.html'), '<!doctype html><title>Console</title>');
    writeFileSync(join(folder, 'assets', 'app-1.js'), 'export {};');
    writeFileSync(join(folder, 'secret.pem'), 'of no type that pages have');
    const url = await stage.start({ EDGE_MIGRATION_PAGE_DIRECTORY: folder });
    const { status, headers } = await call(url, '/');
    expect(status).toBe(200);
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    expect(headers.get('x-frame-options')).toBe('DENY');
    expect((await call(url, '/assets/app-1.js')).headers.get('cache-control')).toContain('immutable');
    for (const where of [
      '/secret.pem',
      '/../console.log',
      '/assets/../../console.log',
      '/%2e%2e/console.log',
      '/assets',
    ])
      expect((await call(url, where)).status).toBe(404);
  });
});

describe('greedy and slow clients of the console', () => {
  test('cannot send a body of ten megabytes, with its length or in pieces', async () => {
    const projectId = await prepare();
    const large = ' '.repeat(10 * MEGABYTE);
    const reply = await call(stage.url, path(projectId, 'suspend/'), { token: editor.token, body: large });
    expect(reply).toMatchObject({ status: 413, body: { code: 'too_large' } });
    const head = `POST ${path(projectId, 'suspend/')} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${editor.token}\r\n`;
    const { socket } = await speak(`${head}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`);
    const piece = `${MEGABYTE.toString(16)}\r\n${' '.repeat(MEGABYTE)}\r\n`;
    for (let count = 0; count < 10; count++) socket.write(piece);
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(first.toString()).toMatch(/^HTTP\/1.1 413 /);
    socket.destroy();
    expect(await suspended(projectId)).toBe(false);
  });

  test('do not make it wait for the body of an unauthenticated request', async () => {
    const { socket } = await speak(
      `POST ${path(1, 'suspend/')} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n`,
    );
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(first.toString()).toMatch(/^HTTP\/1.1 401 /);
    socket.destroy();
  });

  test.each<[string, string, RegExp]>([
    [
      'a head of twenty kilobytes',
      `GET / HTTP/1.1\r\nhost: x\r\nx-y: ${'y'.repeat(20_000)}\r\n\r\n`,
      /^HTTP\/1.1 431 /,
    ],
    ['two lengths', 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\ncontent-length: 5\r\n\r\n', /^HTTP\/1.1 400 /],
    [
      'a length and pieces',
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      /^HTTP\/1.1 400 /,
    ],
    [
      'an absolute path',
      'GET http://evil.example/api/v1/session/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
      /^HTTP\/1.1 4\d\d /,
    ],
  ])('are refused a request with %s', async (_, words, answer) => {
    const { socket, reply } = await speak(words);
    socket.end();
    expect(await reply).toMatch(answer);
  });

  test('who send a head or a body slowly are cut off, and others are served meanwhile', async () => {
    const body = `POST ${path(1, 'suspend/')} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${editor.token}\r\ncontent-type: application/json\r\ncontent-length: 4\r\n\r\n{`;
    const heads = ['GET / HTTP/1.1\r\nhost: x\r\n', body];
    const slow = await Promise.all(Array.from({ length: 20 }, (_, index) => speak(heads[index % 2] ?? '')));
    expect((await call(stage.url, '/api/v1/session/', { token: editor.token })).status).toBe(200);
    for (const reply of await Promise.all(slow.map(({ reply }) => reply)))
      expect(reply).toMatch(/^HTTP\/1.1 4(08|00) /);
  });
});

test('never get a token or a secret into the log', () => {
  const log = stage.log();
  expect(log).toContain('request refused');
  for (const secret of [editor.token, tenant.token, SECRET]) expect(log).not.toContain(secret);
});

test('get a last message on their event streams when the console stops', async () => {
  await using stream = await listen(stage.url, '/api/v1/projects/events/', editor.token);
  await waitFor(() => stream.events.length > 0, { for: 'the stream to begin' });
  await stage.stop();
  await stream.ended;
  expect(stream.events.at(-1)).toMatchObject({ event: 'end', data: { code: 'stopping' } });
});
