import { describe, expect, it } from 'vitest';
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
import { useFake } from './testing/fake.ts';
import { widget, widgets } from './testing/resources.ts';
import { until } from './testing/until.ts';

const fake = useFake([widgets]);
const any = () => true;
const first = { namespace: 'default', name: 'first' };

describe('the verbs', () => {
  it('the verbs create, read, change and delete objects as plain JSON', async () => {
    const created = await fake.client.create(widgets, widget('first', { size: 1, unknownToUs: { kept: true } }));
    expect(created.metadata.uid).toBeDefined();
    expect(await fake.client.get(widgets, first)).toEqual(created);

    const updated = await fake.client.update(widgets, { ...created, spec: { size: 2 } });
    expect(updated).toMatchObject({ spec: { size: 2 }, metadata: { generation: 2 } });

    const patched = await fake.client.patch(widgets, first, { metadata: { labels: { a: 'b' } } });
    expect(patched).toMatchObject({ spec: { size: 2 }, metadata: { labels: { a: 'b' } } });

    const status = { ...widget('first'), status: { phase: 'Ready' } };
    const applied = await fake.client.apply(widgets, status, {
      fieldManager: 'test',
      force: true,
      subresource: 'status',
    });
    expect(applied).toMatchObject({ spec: { size: 2 }, status: { phase: 'Ready' } });

    expect(await fake.client.delete(widgets, first)).toBe(true);
    expect(await fake.client.get(widgets, first)).toBeUndefined();
    expect(await fake.client.delete(widgets, first)).toBe(false);
  });

  it('the verbs identify the writer, and the rights over other managers', async () => {
    await fake.client.apply(widgets, widget('first'), { fieldManager: 'operator', force: true, dryRun: true });
    const { headers, query } = fake.server.requests[0]!;
    expect(headers).toMatchObject({ 'content-type': 'application/apply-patch+yaml', 'user-agent': 'test' });
    expect(Object.fromEntries(query)).toEqual({ fieldManager: 'operator', force: 'true', dryRun: 'All' });
  });

  it('a client for another user sends both reads and writes with that user’s credentials', async () => {
    const other = fake.client.withHeaders({ authorization: 'Bearer other', 'impersonate-group': ['a', 'b'] });
    await other.guarded(() => {}).create(widgets, widget('first'));
    await other.get(widgets, first);
    await fake.client.get(widgets, first);
    const sent = fake.server.requests.map(({ headers }) => headers['authorization'] === 'Bearer other');
    expect(sent).toEqual([true, true, false]);
    expect(fake.server.requests[0]?.headers['impersonate-group']).toBe('a, b');
  });

  it('delete affects only the intended object', async () => {
    const old = fake.server.store.create(widgets, widget('first'));
    fake.server.store.remove(widgets, first);
    fake.server.store.create(widgets, widget('first'));
    await expect(fake.client.delete(widgets, first, { uid: old.metadata.uid })).rejects.toThrow(ConflictError);
    expect(fake.server.store.all(widgets)).toHaveLength(1);
  });

  it('list returns all pages, with the kind that the API omits', async () => {
    for (let i = 0; i < 5; i++) fake.server.store.create(widgets, widget(`w${i}`));
    const list = await fake.client.list(widgets, { pageSize: 2 });
    expect(list.items.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual(
      [0, 1, 2, 3, 4].map((i) => `Widget w${i}`),
    );
    expect(list.resourceVersion).toBe(fake.server.store.version());
    expect(fake.server.requests).toHaveLength(3);
  });

  it('list filters by namespace and label', async () => {
    const labelled = widget('there', {}, 'other');
    labelled.metadata.labels = { app: 'x' };
    fake.server.store.create(widgets, labelled);
    fake.server.store.create(widgets, widget('there'));
    expect((await fake.client.list(widgets, { namespace: 'other' })).items).toHaveLength(1);
    expect((await fake.client.list(widgets, { labelSelector: 'app=x' })).items).toHaveLength(1);
    expect((await fake.client.list(widgets)).items).toHaveLength(2);
  });

  it('list reads everything in one piece when the pages expire while they are read', async () => {
    for (let i = 0; i < 3; i++) fake.server.store.create(widgets, widget(`w${i}`));
    fake.server.fail(({ query }) => query.has('continue'), { status: 410, reason: 'Expired' });
    expect((await fake.client.list(widgets, { pageSize: 1 })).items).toHaveLength(3);
    expect(fake.server.requests.at(-1)!.query.has('limit')).toBe(false);
  });
});

describe('a missing object', () => {
  it('a missing object is distinguished from a kind that is not served', async () => {
    expect(await fake.client.get(widgets, first)).toBeUndefined();
    fake.server.serve(widgets, false);
    await expect(fake.client.get(widgets, first)).rejects.toThrow(NotFoundError);
    await expect(fake.client.delete(widgets, first)).rejects.toThrow(NotFoundError);
  });
});

describe('errors', () => {
  it.each([
    [401, 'Unauthorized', UnauthorizedError, 'transient'],
    [403, 'Forbidden', ForbiddenError, 'transient'],
    [404, 'NotFound', NotFoundError, 'transient'],
    [409, 'Conflict', ConflictError, 'conflict'],
    [409, 'AlreadyExists', AlreadyExistsError, 'conflict'],
    [410, 'Gone', GoneError, 'transient'],
    [422, 'Invalid', InvalidError, 'rejected'],
    [429, 'TooManyRequests', TooManyRequestsError, 'throttled'],
    [500, 'InternalError', ApiError, 'transient'],
    [405, 'MethodNotAllowed', ApiError, 'rejected'],
  ] as const)('%i %s is typed and names the call', async (status, reason, Type, disposition) => {
    fake.server.fail(any, { status, reason }, 9);
    const options = { fieldManager: 'm', subresource: 'status', retries: 0 };
    const error = await fake.client.apply(widgets, widget('first'), options).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Type);
    expect(error).toMatchObject({ status, reason, disposition });
    expect((error as Error).message).toBe(`apply widgets/status default/first: ${reason} (${status}): injected`);
  });

  it('errors contain no body of a proxy in between', async () => {
    fake.server.fail(any, { status: 502, text: '<html>secret token</html>' }, 9);
    const error = (await fake.client.list(widgets, {}, { retries: 0 }).catch((thrown) => thrown)) as ApiError;
    expect(error.message).toBe('list widgets: error (502)');
    expect(JSON.stringify(error)).not.toContain('secret');
  });

  it('an answer that is not JSON is reported as such', async () => {
    fake.server.fail(any, { status: 200, text: 'login please' }, 9);
    await expect(fake.client.list(widgets, {}, { retries: 0 })).rejects.toMatchObject({ reason: 'MalformedResponse' });
  });
});

describe('a watch', () => {
  const query = { resourceVersion: '100', timeoutSeconds: 300 };
  const options = { inactivityMs: 90_000 };

  it('a watch delivers changes and bookmarks until the API server ends it', async () => {
    const types: string[] = [];
    const reading = (async () => {
      for await (const event of fake.client.watch(widgets, query, options)) types.push(event.type);
    })();
    await until(() => fake.server.watching() === 1);
    fake.server.store.create(widgets, widget('first'));
    fake.server.store.merge(widgets, first, { spec: { size: 2 } });
    fake.server.store.remove(widgets, first);
    fake.server.bookmark();
    await until(() => types.length === 4);
    fake.server.endWatches();
    await reading;
    expect(types).toEqual(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK']);
    expect(Object.fromEntries(fake.server.requests[0]!.query)).toMatchObject({
      watch: 'true',
      allowWatchBookmarks: 'true',
      timeoutSeconds: '300',
    });
    expect(fake.clock.pending()).toEqual([]);
  });

  it('a watch keeps characters whole that are split between chunks', async () => {
    const watch = fake.client.watch(widgets, query, options);
    const next = watch.next();
    await until(() => fake.server.watching() === 1);
    fake.server.store.create(widgets, widget('first', { text: 'é€😀'.repeat(50_000) }));
    expect(await next).toMatchObject({ value: { object: { spec: { text: 'é€😀'.repeat(50_000) } } } });
    await watch.return();
  });

  it.each([
    ['{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n', GoneError],
    ['{"type":"ERROR","object":{"kind":"Status","code":500}}\n', ApiError],
    ['{"type":"ADDED","object"\n', UnreachableError],
    ['{"type":"INVENTED","object":{}}\n', UnreachableError],
    ['null\n', UnreachableError],
  ])('a watch ends with an error at %s', async (text, Type) => {
    const next = fake.client.watch(widgets, query, options).next();
    next.catch(() => {});
    await until(() => fake.server.watching() === 1);
    fake.server.writeToWatches(text);
    await expect(next).rejects.toBeInstanceOf(Type);
    expect(fake.clock.pending()).toEqual([]);
  });

  it('a watch ends when it has been silent for too long, and not before', async () => {
    const watch = fake.client.watch(widgets, query, options);
    const event = watch.next();
    await until(() => fake.server.watching() === 1);
    await fake.clock.advance(89_000);
    fake.server.bookmark();
    await event;
    const next = watch.next();
    next.catch(() => {});
    await fake.clock.advance(89_000);
    expect([fake.server.watching(), fake.clock.pending()]).toEqual([1, [1_000]]);
    fake.server.silenceWatches();
    await fake.clock.advance(1_000);
    await expect(next).rejects.toThrow('watch widgets: no answer within 90000 ms');
    await until(() => fake.server.watching() === 0);
  });

  it('a watch closes its connection when the reader leaves or aborts', async () => {
    const abort = new AbortController();
    const watch = fake.client.watch(widgets, query, { ...options, signal: abort.signal });
    const next = watch.next();
    next.catch(() => {});
    await until(() => fake.server.watching() === 1);
    abort.abort(new Error('enough'));
    await expect(next).rejects.toThrow('enough');
    await until(() => fake.server.watching() === 0);
  });
});
