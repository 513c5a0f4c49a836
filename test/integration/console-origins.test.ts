/** Attacks on the console by other sites, and by clients that pose as its proxy. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { isSuspended, path, prepareProject } from './console/project.ts';
import { type Account, call, type Stage, startStage } from './console/stage.ts';

const SECRET = 'secret-of-the-proxy';
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

describe("another site's page", () => {
  test.each<[string, Record<string, string>]>([
    ['by its origin', { origin: 'https://evil.example' }],
    ['by an origin that looks like it', { origin: 'https://127.0.0.1.evil.example' }],
    ['by no origin at all', { origin: 'null' }],
    ['by the Sec-Fetch headers of the browser', { 'sec-fetch-site': 'cross-site' }],
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

test('a secret of the proxy never gets into the log', () => {
  const log = stage.log();
  expect(log).toContain('request refused');
  for (const secret of [editor.token, tenant.token, SECRET]) expect(log).not.toContain(secret);
});
