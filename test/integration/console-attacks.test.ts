/** Attacks on the console by strangers, other tenants and greedy clients. */
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { isSuspended, newProjectId, path, prepareProject } from './console/project.ts';
import { type Account, call, listen, type Stage, startStage } from './console/stage.ts';

const MEGABYTE = 1024 * 1024;
const HOSTILE = '"><img src=x onerror=alert(1)><script>alert(1)</script>\u202e\u001b[2J';
const SECRET = 'secret-of-the-proxy';
/** Time stands still for limits, so that none recovers. */
const STILL: Clock = { ...systemClock, monotonic: () => 0 };
let stage: Stage;
let editor: Account;
let tenant: Account;

beforeAll(async () => {
  stage = await startStage();
  editor = await stage.addCaller({ [stage.namespace]: 'edit' });
  tenant = await stage.addCaller({ [stage.otherNamespace]: 'edit' });
  writeFileSync(join(stage.folder, 'proxy-secret'), `${SECRET}\n`);
});

afterAll(() => stage?.[Symbol.asyncDispose]());

const suspended = (projectId: number) => isSuspended(stage, projectId);
const prepare = (url?: string, headers?: Record<string, string>) => prepareProject(stage, editor, url, headers);

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
    ['with an unknown token', () => ({ authorization: 'Bearer nobody' }), 'invalid_token'],
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

describe('texts of others', () => {
  test('are data and never markup, wherever they are shown', async () => {
    const projectId = newProjectId();
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
