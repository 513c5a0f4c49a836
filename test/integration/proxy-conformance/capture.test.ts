import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { describe, expect, test } from 'vitest';
import { type CapturedCall, createRecordingHook } from './support/proxy-under-test.ts';
import { connectRaw } from './support/raw-client.ts';
import type { SeenRequest } from './support/raw-upstream.ts';
import { answer, get, post, respond, startBoth } from './support/setup.ts';

/** An intent that is spooled when `settle` is called. */
function slowIntent() {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const intent = (call: CapturedCall) => ({
    intent(body: Buffer | undefined, extent: 'whole' | 'tooLarge' | 'cutShort') {
      call.intent = { body: body?.toString('latin1'), extent };
      return promise;
    },
  });
  return { intent, settle: resolve, fail: reject };
}

describe('the intent is recorded before the API can act', () => {
  test('on a request without a body: nothing is forwarded before', async () => {
    const { intent, settle } = slowIntent();
    const hook = createRecordingHook(intent);
    await using both = await startBoth({ onRequest: respond }, { hook, limits: { intentMs: 20_000 } });
    using client = await connectRaw(both.proxy.port);
    client.send(get('/a'));
    await waitFor(() => both.api.connections[0] && hook.calls[0]?.intent, { for: 'the connection and the intent' });
    expect(hook.calls[0]?.intent).toEqual({ body: '', extent: 'whole' });
    expect(both.api.connections[0]?.received).toBe('');
    settle();
    await client.until((received) => received.endsWith('ok'));
  });

  test('on a request whose body the capture does not need: nothing is forwarded before', async () => {
    const { intent, settle } = slowIntent();
    const hook = createRecordingHook((call) => ({ ...intent(call), needsBody: false }));
    await using both = await startBoth({ onRequest: respond }, { hook, limits: { intentMs: 20_000 } });
    using client = await connectRaw(both.proxy.port);
    client.send(post('/a', 'hello'));
    await waitFor(() => both.api.connections[0] && hook.calls[0]?.intent, { for: 'the connection and the intent' });
    expect(hook.calls[0]?.intent).toEqual({ body: undefined, extent: 'whole' });
    expect(both.api.connections[0]?.received).toBe('');
    settle();
    await client.until((received) => received.endsWith('ok'));
  });

  test.each([
    ['of known length', 'Content-Length: 10\r\n\r\n', ['hello', 'world']],
    ['in chunks', 'Transfer-Encoding: chunked\r\n\r\n', ['5\r\nhello\r\n', '5\r\nworld\r\n0\r\n\r\n']],
  ])('on a body %s: its beginning is forwarded, its end waits', async (_name, head, [first = '', last = '']) => {
    const { intent, settle } = slowIntent();
    const hook = createRecordingHook(intent);
    await using both = await startBoth({ onRequest: respond }, { hook, limits: { intentMs: 20_000 } });
    using client = await connectRaw(both.proxy.port);
    const start = `POST /a HTTP/1.1\r\nHost: a\r\n${head}${first}`;
    client.send(start);
    await waitFor(() => both.api.connections[0]?.received === start || undefined, { for: 'the beginning' });
    expect(hook.calls[0]?.intent).toBeUndefined();
    client.send(last);
    await waitFor(() => hook.calls[0]?.intent, { for: 'the intent' });
    expect(hook.calls[0]?.intent).toEqual({ body: 'helloworld', extent: 'whole' });
    expect(both.api.connections[0]?.received).toBe(start);
    settle();
    await client.until((received) => received.endsWith('ok'));
    expect(both.api.connections[0]?.received).toBe(start + last);
  });
});

describe('an error in the capture never fails a request', () => {
  const broken = () => {
    throw new Error('broken');
  };
  test.each([
    ['begin', undefined, () => createRecordingHook(() => ({}), broken)],
    ['prepare', undefined, () => createRecordingHook(() => ({ prepare: async () => broken() }))],
    ['prepare', 'at once', () => createRecordingHook(() => ({ prepare: broken }))],
    ['prepare', 'too slow', () => createRecordingHook(() => ({ prepare: () => new Promise(() => {}) }))],
    ['intent', undefined, () => createRecordingHook(() => ({ intent: async () => broken() }))],
    ['intent', 'at once', () => createRecordingHook(() => ({ intent: broken }))],
    ['intent', 'too slow', () => createRecordingHook(() => ({ intent: () => new Promise(() => {}) }))],
    ['finish', undefined, () => createRecordingHook(() => ({ finish: broken }))],
  ])('in %s (%s): it is counted and reported as missed', async (stage, _how, createHook) => {
    const hook = createHook();
    await using both = await startBoth({ onRequest: respond }, { hook, limits: { prepareMs: 30, intentMs: 30 } });
    using client = await connectRaw(both.proxy.port);
    client.send(post('/a', 'hello'));
    expect(await client.until((received) => received.endsWith('ok'))).toBe(answer('ok'));
    await waitFor(() => hook.misses.length > 0 || undefined, { for: 'the report' });
    expect(hook.misses.map((miss) => miss.stage)).toEqual([stage]);
    expect(await both.proxy.metric('capture_errors_total', { stage })).toBe(1);
    expect(both.api.requests).toHaveLength(1);
    if (stage === 'prepare' || stage === 'intent')
      expect(hook.calls[0]?.outcome).toMatchObject({ kind: 'responded', status: 200 });
  });

  test('not even an error in reporting one', async () => {
    const hook = { ...createRecordingHook(() => ({}), broken), missed: broken };
    await using both = await startBoth({ onRequest: respond }, { hook });
    using client = await connectRaw(both.proxy.port);
    client.send(post('/a', 'hello'));
    expect(await client.until((received) => received.endsWith('ok'))).toBe(answer('ok'));
  });
});

describe("the capture's preparation", () => {
  test('asks the API before any of the request is forwarded, over the same connections', async () => {
    const asked: string[] = [];
    const hook = createRecordingHook(() => ({
      async prepare(call) {
        const response = await call({ method: 'GET', target: '/lookup', fields: [{ name: 'Host', value: 'a' }] });
        asked.push(`${response.status} ${response.body}`);
      },
    }));
    await using both = await startBoth({ onRequest: respond }, { hook });
    using client = await connectRaw(both.proxy.port);
    client.send(get('/a').replace('GET', 'DELETE'));
    await client.until((received) => received.endsWith('ok'));
    expect(asked).toEqual(['200 ok']);
    expect(both.api.requests.map(({ message }) => message.firstLine)).toEqual([
      'GET /lookup HTTP/1.1',
      'DELETE /a HTTP/1.1',
    ]);
  });

  test('opens no connection for the request itself, which could keep the API from answering', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const hook = createRecordingHook(() => ({ prepare: () => promise }));
    await using both = await startBoth({ onRequest: respond }, { hook, limits: { prepareMs: 20_000 } });
    using client = await connectRaw(both.proxy.port);
    client.send(post('/a', 'hello'));
    await waitFor(() => hook.calls[0], { for: 'the capture' });
    expect(both.api.connections).toEqual([]);
    resolve();
    await client.until((received) => received.endsWith('ok'));
  });
});

describe('captured bodies', () => {
  test('pass at any size; beyond the limit they are counted instead of kept', async () => {
    const hook = createRecordingHook();
    const large = 'x'.repeat(200_000);
    await using both = await startBoth(
      { onRequest: ({ connection }) => connection.socket.write(answer(large)) },
      { hook, limits: { capturedBodyBytes: 100_000 } },
    );
    using client = await connectRaw(both.proxy.port);
    client.send(post('/a', large));
    await client.until((received) => received.length === answer(large).length);
    expect(both.api.requests[0]?.message.body).toBe(large);
    expect(hook.calls[0]?.intent).toEqual({ body: undefined, extent: 'tooLarge' });
    expect(await hook.calls[0]?.finished).toMatchObject({
      kind: 'responded',
      status: 200,
      body: undefined,
      truncated: true,
    });
    expect(await both.proxy.metric('captured_bodies_total', { reason: 'tooLarge' })).toBe(2);
  });

  test('share one budget, which they give back', async () => {
    const hook = createRecordingHook(() => ({ needsResponseBody: false }));
    await using both = await startBoth({ onRequest: respond }, { hook, limits: { heldBytes: 3_000 } });
    using first = await connectRaw(both.proxy.port);
    using second = await connectRaw(both.proxy.port);
    first.send(post('/1', 'x'.repeat(800)).slice(0, -1));
    await waitFor(() => both.api.connections[0]?.received, { for: 'the first request' });
    second.send(post('/2', 'x'.repeat(800)));
    await second.until((received) => received.endsWith('ok'));
    first.send('x');
    await first.until((received) => received.endsWith('ok'));
    second.send(post('/3', 'x'.repeat(800)));
    await second.until((received) => received.split('ok').length === 3);
    expect(hook.calls.map(({ intent }) => intent?.extent)).toEqual(['whole', 'tooLarge', 'whole']);
  });
});

describe('the captured outcome', () => {
  test("is the API's answer, without the body unless it is needed", async () => {
    const hook = createRecordingHook(() => ({ needsResponseBody: false }));
    await using both = await startBoth(
      { onRequest: ({ connection }) => connection.socket.write(answer('oops', 500, 'X-A: 1')) },
      { hook },
    );
    using client = await connectRaw(both.proxy.port);
    client.send(post('/a', 'hello'));
    const outcome = await waitFor(() => hook.calls[0]?.outcome, { for: 'the outcome' });
    expect(outcome).toMatchObject({ kind: 'responded', status: 500, body: undefined, truncated: false });
    expect(outcome.kind === 'responded' && outcome.fields[0]).toMatchObject({ name: 'X-A', lower: 'x-a', value: '1' });
  });

  test('is known with the status when the body is not needed, however slowly the client reads', async () => {
    const hook = createRecordingHook(() => ({ needsResponseBody: false }));
    await using both = await startBoth(
      { onRequest: ({ connection }) => connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n') },
      { hook },
    );
    using client = await connectRaw(both.proxy.port);
    client.send(post('/a', 'hello'));
    expect(
      (await hook.calls[0]?.finished) ?? (await waitFor(() => hook.calls[0]?.outcome, { for: 'it' })),
    ).toMatchObject({
      kind: 'responded',
      status: 200,
    });
  });

  test('is truncated when the API breaks off in the middle', async () => {
    const hook = createRecordingHook();
    await using both = await startBoth(
      { onRequest: ({ connection }) => connection.socket.end(answer('hello').slice(0, -2)) },
      { hook },
    );
    using client = await connectRaw(both.proxy.port);
    client.send(post('/a', 'hello'));
    await client.all();
    expect(hook.calls[0]?.outcome).toMatchObject({ kind: 'responded', status: 200, truncated: true });
  });

  test.each([
    ['closes', (request: SeenRequest) => request.connection.socket.end()],
    ['resets', (request: SeenRequest) => request.connection.socket.resetAndDestroy()],
  ])('is unknown when an API that took the request %s its connection', async (_how, fail) => {
    const hook = createRecordingHook();
    await using both = await startBoth({ onRequest: fail }, { hook });
    using client = await connectRaw(both.proxy.port);
    client.send(post('/a', 'hello'));
    await client.all();
    expect(hook.calls[0]?.outcome).toEqual({ kind: 'unknown', why: 'reset' });
    expect(hook.calls[0]?.intent).toEqual({ body: 'hello', extent: 'whole' });
  });
});

test('includes the head as the API sees it', async () => {
  const hook = createRecordingHook();
  await using both = await startBoth({ onRequest: respond }, { hook });
  using client = await connectRaw(both.proxy.port);
  client.send(
    'GET /a?b=%20c HTTP/1.1\r\nHost: a\r\nConnection: X-Environment-Key\r\nx-environment-KEY: key\r\nKeep-Alive: 5\r\nA_B: hidden\r\nX-A:  1 \r\nx-a: \xe9\r\n\r\n',
  );
  await client.until((received) => received.endsWith('ok'));
  const head = hook.calls[0]?.head;
  expect(head).toMatchObject({ method: 'GET', target: '/a?b=%20c', version: '1.1' });
  expect(head?.fields.map(({ name, lower, value }) => [name, lower, value])).toEqual([
    ['Host', 'host', 'a'],
    ['x-environment-KEY', 'x-environment-key', 'key'],
    ['X-A', 'x-a', '1'],
    ['x-a', 'x-a', '\xe9'],
  ]);
  expect(both.api.requests[0]?.message.fields).toEqual(head?.fields.map(({ name, value }) => [name, value]));
  expect(both.api.requests[0]?.text).not.toContain('hidden');
});
