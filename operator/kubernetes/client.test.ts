import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@edge-migration/identity/clock.ts';
import { KubeConfig } from '@kubernetes/client-node';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ClientSettings, createClient, type KubernetesClient } from './client.ts';
import {
  AlreadyExistsError,
  ApiError,
  ConflictError,
  ForbiddenError,
  GoneError,
  InvalidError,
  NotFoundError,
  TooManyRequestsError,
  UnauthorizedError,
  UnreachableError,
} from './errors.ts';
import { type FakeApiServer, startFakeApiServer } from './testing/fake-api-server.ts';
import { createFakeClock, type FakeClock } from './testing/fake-clock.ts';
import { widget, widgets } from './testing/resources.ts';
import { until } from './testing/until.ts';

let server: FakeApiServer;
let clock: FakeClock;
let registry: Registry;
let client: KubernetesClient;
const clients: KubernetesClient[] = [];
const any = () => true;
const first = { namespace: 'default', name: 'first' };

function connect(settings: Partial<ClientSettings> = {}): KubernetesClient {
  const created = createClient({
    kubeConfig: server.kubeConfig(),
    clock,
    userAgent: 'test',
    registry,
    random: () => 0.5,
    ...settings,
  });
  clients.push(created);
  return created;
}

beforeEach(async () => {
  server = await startFakeApiServer([widgets]);
  clock = createFakeClock();
  registry = new Registry();
  client = connect();
});

afterEach(async () => {
  await Promise.all(clients.splice(0).map((each) => each.close()));
  await server.stop();
});

describe('the verbs', () => {
  it('create, read, change and delete objects as plain JSON', async () => {
    const created = await client.create(widgets, widget('first', { size: 1, unknownToUs: { kept: true } }));
    expect(created.metadata.uid).toBeDefined();
    expect(await client.get(widgets, first)).toEqual(created);

    const updated = await client.update(widgets, { ...created, spec: { size: 2 } });
    expect(updated).toMatchObject({ spec: { size: 2 }, metadata: { generation: 2 } });

    const patched = await client.patch(widgets, first, { metadata: { labels: { a: 'b' } } });
    expect(patched).toMatchObject({ spec: { size: 2 }, metadata: { labels: { a: 'b' } } });

    const status = { ...widget('first'), status: { phase: 'Ready' } };
    const applied = await client.apply(widgets, status, { fieldManager: 'test', force: true, subresource: 'status' });
    expect(applied).toMatchObject({ spec: { size: 2 }, status: { phase: 'Ready' } });

    expect(await client.delete(widgets, first)).toBe(true);
    expect(await client.get(widgets, first)).toBeUndefined();
    expect(await client.delete(widgets, first)).toBe(false);
  });

  it('say who writes, and with which rights over other managers', async () => {
    await client.apply(widgets, widget('first'), { fieldManager: 'operator', force: true, dryRun: true });
    const { headers, query } = server.requests[0]!;
    expect(headers).toMatchObject({ 'content-type': 'application/apply-patch+yaml', 'user-agent': 'test' });
    expect(Object.fromEntries(query)).toEqual({ fieldManager: 'operator', force: 'true', dryRun: 'All' });
  });

  it('delete only the object that was meant', async () => {
    const old = server.store.create(widgets, widget('first'));
    server.store.remove(widgets, first);
    server.store.create(widgets, widget('first'));
    await expect(client.delete(widgets, first, { uid: old.metadata.uid })).rejects.toThrow(ConflictError);
    expect(server.store.all(widgets)).toHaveLength(1);
  });

  it('list all pages, with the kind that the API leaves out', async () => {
    for (let i = 0; i < 5; i++) server.store.create(widgets, widget(`w${i}`));
    const list = await client.list(widgets, { pageSize: 2 });
    expect(list.items.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual(
      [0, 1, 2, 3, 4].map((i) => `Widget w${i}`),
    );
    expect(list.resourceVersion).toBe(server.store.version());
    expect(server.requests).toHaveLength(3);
  });

  it('list by namespace and label', async () => {
    const labelled = widget('there', {}, 'other');
    labelled.metadata.labels = { app: 'x' };
    server.store.create(widgets, labelled);
    server.store.create(widgets, widget('there'));
    expect((await client.list(widgets, { namespace: 'other' })).items).toHaveLength(1);
    expect((await client.list(widgets, { labelSelector: 'app=x' })).items).toHaveLength(1);
    expect((await client.list(widgets)).items).toHaveLength(2);
  });

  it('list in one piece when the pages grew too old while they were read', async () => {
    for (let i = 0; i < 3; i++) server.store.create(widgets, widget(`w${i}`));
    server.fail(({ query }) => query.has('continue'), { status: 410, reason: 'Expired' });
    expect((await client.list(widgets, { pageSize: 1 })).items).toHaveLength(3);
    expect(server.requests.at(-1)!.query.has('limit')).toBe(false);
  });
});

describe('a missing object', () => {
  it('is told apart from a kind that is not served', async () => {
    expect(await client.get(widgets, first)).toBeUndefined();
    server.serve(widgets, false);
    await expect(client.get(widgets, first)).rejects.toThrow(NotFoundError);
    await expect(client.delete(widgets, first)).rejects.toThrow(NotFoundError);
  });
});

describe('errors', () => {
  it.each([
    [401, 'Unauthorized', UnauthorizedError, 'retryable'],
    [403, 'Forbidden', ForbiddenError, 'retryable'],
    [404, 'NotFound', NotFoundError, 'retryable'],
    [409, 'Conflict', ConflictError, 'conflict'],
    [409, 'AlreadyExists', AlreadyExistsError, 'conflict'],
    [410, 'Gone', GoneError, 'retryable'],
    [422, 'Invalid', InvalidError, 'terminal'],
    [429, 'TooManyRequests', TooManyRequestsError, 'retryable'],
    [500, 'InternalError', ApiError, 'retryable'],
    [405, 'MethodNotAllowed', ApiError, 'terminal'],
  ] as const)('%i %s is typed and names the call', async (status, reason, Type, kind) => {
    server.fail(any, { status, reason }, 9);
    const options = { fieldManager: 'm', subresource: 'status', retries: 0 };
    const error = await client.apply(widgets, widget('first'), options).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Type);
    expect(error).toMatchObject({ status, reason, kind });
    expect((error as Error).message).toBe(`apply widgets/status default/first: ${reason} (${status}): injected`);
  });

  it('hold no body of a proxy in between', async () => {
    server.fail(any, { status: 502, text: '<html>secret token</html>' }, 9);
    const error = (await client.list(widgets, {}, { retries: 0 }).catch((thrown) => thrown)) as ApiError;
    expect(error.message).toBe('list widgets: error (502)');
    expect(JSON.stringify(error)).not.toContain('secret');
  });

  it('tell an answer that is no JSON', async () => {
    server.fail(any, { status: 200, text: 'login please' }, 9);
    await expect(client.list(widgets, {}, { retries: 0 })).rejects.toMatchObject({ reason: 'MalformedResponse' });
  });
});

describe('retries', () => {
  it('wait as long as the API server asks, for every verb', async () => {
    server.fail(any, { status: 429, headers: { 'retry-after': '3' } });
    const creating = client.create(widgets, widget('first'));
    await clock.sleepers(1);
    await until(() => clock.pending()[0] === 3050);
    await clock.advance(3050);
    expect(await creating).toMatchObject({ metadata: { name: 'first' } });
  });

  it('leave a long Retry-After to the caller', async () => {
    server.fail(any, { status: 429, headers: { 'retry-after': '60' } });
    const error = client.list(widgets);
    await expect(error).rejects.toBeInstanceOf(TooManyRequestsError);
    await expect(error).rejects.toMatchObject({ retryAfterMilliseconds: 60_000 });
  });

  it.each(['reset', 'lost', { status: 500 }, { status: 503 }] as const)(
    'repeat a repeatable call after %o',
    async (fault) => {
      const instant = connect({ clock: systemClock, random: () => 0 });
      server.fail(any, fault, 2);
      await instant.apply(widgets, widget('first', { size: 3 }), { fieldManager: 'm' });
      expect(server.store.find(widgets, first)).toMatchObject({ spec: { size: 3 } });
      expect(server.requests).toHaveLength(3);
    },
  );

  it.each(['reset', 'lost', { status: 500 }] as const)('never send a create twice after %o', async (fault) => {
    server.fail(any, fault);
    await expect(client.create(widgets, widget('first'))).rejects.toThrow(ApiError);
    expect(server.requests).toHaveLength(1);
  });

  it('repeat even a create that was never sent', async () => {
    const { url } = server;
    await server.stop();
    const instant = connect({ clock: systemClock, random: () => 0, retries: 3 });
    await expect(instant.create(widgets, widget('first'))).rejects.toThrow(/create widgets default: .*ECONNREFUSED/);
    expect(await requestsByCode()).toEqual({ '<error>': 4 });
    server = await startFakeApiServer([widgets]);
    expect(url).not.toBe(server.url);
  });

  it('end with the last error when nothing helps', async () => {
    const instant = connect({ clock: systemClock, random: () => 0 });
    server.fail(any, { status: 503 }, 99);
    await expect(instant.list(widgets)).rejects.toMatchObject({ status: 503 });
    expect(server.requests).toHaveLength(5);
  });
});

describe('waiting', () => {
  it('ends at the deadline of each try when the API server does not answer', async () => {
    server.fail(any, 'hang');
    const getting = client.get(widgets, first, { timeoutMilliseconds: 7_000, retries: 0 });
    getting.catch(() => {});
    await until(() => server.requests.length === 1);
    await clock.advance(6_999);
    await clock.advance(1);
    await expect(getting).rejects.toBeInstanceOf(UnreachableError);
    await expect(getting).rejects.toMatchObject({
      reason: 'Timeout',
      message: 'get widgets default/first: no answer within 7000 ms',
    });
    expect(clock.pending()).toEqual([]);
  });

  it('ends at once with the caller’s reason, in a call and between tries', async () => {
    const reason = new Error('shutting down');
    for (const fault of ['hang', { status: 503 }] as const) {
      server.fail(any, fault);
      const abort = new AbortController();
      const listing = client.list(widgets, {}, { signal: abort.signal });
      listing.catch(() => {});
      const seen = server.requests.length + 1;
      await until(() => server.requests.length === seen && clock.pending().length === 1);
      abort.abort(reason);
      await expect(listing).rejects.toBe(reason);
      expect(clock.pending()).toEqual([]);
    }
  });
});

describe('credentials', () => {
  it('are read again when the API server no longer accepts them', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'token-'));
    const tokenFile = join(folder, 'token');
    writeFileSync(tokenFile, 'old\n');
    const kubeConfig = new KubeConfig();
    kubeConfig.loadFromClusterAndUser(
      { name: 'fake', server: server.url, skipTLSVerify: true },
      { name: 'pod', authProvider: { name: 'tokenFile', config: { tokenFile } } },
    );
    const pod = connect({ kubeConfig });
    server.requireToken('old');
    await pod.list(widgets);

    writeFileSync(tokenFile, 'new\n');
    server.requireToken('new');
    expect((await pod.list(widgets)).items).toEqual([]);
    await expect(client.list(widgets)).rejects.toThrow(UnauthorizedError);
    rmSync(folder, { recursive: true });
  });

  it('that cannot be read fail the call, not the process', async () => {
    const kubeConfig = new KubeConfig();
    kubeConfig.loadFromClusterAndUser(
      { name: 'fake', server: server.url, skipTLSVerify: true },
      { name: 'pod', authProvider: { name: 'tokenFile', config: { tokenFile: '/nowhere/token' } } },
    );
    const pod = connect({ kubeConfig });
    await expect(pod.list(widgets, {}, { retries: 0 })).rejects.toThrow(/list widgets: ENOENT/);
    const watch = pod.watch(widgets, { resourceVersion: '1', timeoutSeconds: 60 }, { inactivityMilliseconds: 1000 });
    await expect(watch.next()).rejects.toThrow(UnreachableError);
  });

  it('may come from an exec plugin', async () => {
    const credential = {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 'exec' },
    };
    const kubeConfig = new KubeConfig();
    kubeConfig.loadFromClusterAndUser(
      { name: 'fake', server: server.url, skipTLSVerify: true },
      { name: 'human', exec: { command: 'echo', args: [JSON.stringify(credential)] } },
    );
    server.requireToken('exec');
    expect((await connect({ kubeConfig }).list(widgets)).items).toEqual([]);
  });
});

describe('a guarded client', () => {
  it('asks before each try of a write, and sends nothing when refused', async () => {
    const refusal = new Error('not leading');
    let asked = 0;
    const guarded = connect({ clock: systemClock, random: () => 0 }).guarded(() => {
      if (++asked === 2) throw refusal;
    });
    server.fail(any, { status: 503 });
    await expect(guarded.apply(widgets, widget('first'), { fieldManager: 'm' })).rejects.toBe(refusal);
    expect(server.requests).toHaveLength(1);
    expect(await guarded.get(widgets, first)).toBeUndefined();
    expect(asked).toBe(2);
  });
});

describe('a watch', () => {
  const query = { resourceVersion: '100', timeoutSeconds: 300 };
  const options = { inactivityMilliseconds: 90_000 };

  it('brings changes and bookmarks until the API server ends it', async () => {
    const types: string[] = [];
    const reading = (async () => {
      for await (const event of client.watch(widgets, query, options)) types.push(event.type);
    })();
    await until(() => server.watching() === 1);
    server.store.create(widgets, widget('first'));
    server.store.merge(widgets, first, { spec: { size: 2 } });
    server.store.remove(widgets, first);
    server.bookmark();
    await until(() => types.length === 4);
    server.endWatches();
    await reading;
    expect(types).toEqual(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK']);
    expect(Object.fromEntries(server.requests[0]!.query)).toMatchObject({
      watch: 'true',
      allowWatchBookmarks: 'true',
      timeoutSeconds: '300',
    });
    expect(clock.pending()).toEqual([]);
  });

  it('keeps characters whole that chunks cut in two', async () => {
    const watch = client.watch(widgets, query, options);
    const next = watch.next();
    await until(() => server.watching() === 1);
    server.store.create(widgets, widget('first', { text: 'é€😀'.repeat(50_000) }));
    expect(await next).toMatchObject({ value: { object: { spec: { text: 'é€😀'.repeat(50_000) } } } });
    await watch.return();
  });

  it.each([
    ['{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n', GoneError],
    ['{"type":"ERROR","object":{"kind":"Status","code":500}}\n', ApiError],
    ['{"type":"ADDED","object"\n', UnreachableError],
    ['{"type":"INVENTED","object":{}}\n', UnreachableError],
    ['null\n', UnreachableError],
  ])('ends with an error at %s', async (text, Type) => {
    const next = client.watch(widgets, query, options).next();
    next.catch(() => {});
    await until(() => server.watching() === 1);
    server.writeToWatches(text);
    await expect(next).rejects.toBeInstanceOf(Type);
    expect(clock.pending()).toEqual([]);
  });

  it('ends when nothing comes any more, and not before', async () => {
    const watch = client.watch(widgets, query, options);
    const event = watch.next();
    await until(() => server.watching() === 1);
    await clock.advance(89_000);
    server.bookmark();
    await event;
    const next = watch.next();
    next.catch(() => {});
    await clock.advance(89_000);
    server.silenceWatches();
    await clock.advance(1_000);
    await expect(next).rejects.toThrow('watch widgets: no answer within 90000 ms');
    await until(() => server.watching() === 0);
  });

  it('closes its connection when the reader leaves or aborts', async () => {
    const abort = new AbortController();
    const watch = client.watch(widgets, query, { ...options, signal: abort.signal });
    const next = watch.next();
    next.catch(() => {});
    await until(() => server.watching() === 1);
    abort.abort(new Error('enough'));
    await expect(next).rejects.toThrow('enough');
    await until(() => server.watching() === 0);
  });
});

it('counts requests by code and method', async () => {
  server.fail(any, { status: 404, reason: 'NotFound' });
  await client.list(widgets, {}, { retries: 0 }).catch(() => {});
  await client.list(widgets);
  expect(await requestsByCode()).toEqual({ 404: 1, 200: 1 });
});

it('shares connections between calls', async () => {
  for (let i = 0; i < 50; i++) await client.list(widgets);
  // undici may open a second one before the first has become idle again.
  expect(new Set(server.requests.map(({ port }) => port)).size).toBeLessThanOrEqual(2);
});

async function requestsByCode() {
  const metric = await registry.getSingleMetric('rest_client_requests_total')?.get();
  return Object.fromEntries(metric!.values.map(({ labels, value }) => [labels['code'], value]));
}
