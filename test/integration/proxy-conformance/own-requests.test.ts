import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { describe, expect, test } from 'vitest';
import type { SeenRequest } from './support/raw-upstream.ts';
import { answer, get, startBoth } from './support/setup.ts';

const LOOKUP = { method: 'GET', target: '/lookup', fields: [{ name: 'Host', value: 'a' }] } as const;
const respond = ({ connection }: SeenRequest) => connection.socket.write(answer('found'));

describe('an own request to the API', () => {
  test.each([
    ['of known length', answer('found')],
    ['in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfo\r\n3\r\nund\r\n0\r\n\r\n'],
    ['behind an interim one', `HTTP/1.1 103 Early Hints\r\n\r\n${answer('found')}`],
  ])('returns the answer %s', async (_name, response) => {
    await using both = await startBoth({ onRequest: ({ connection }) => connection.socket.write(response) });
    const { status, body } = await both.proxy.proxy.callUpstream(LOOKUP);
    expect([status, body.toString()]).toEqual([200, 'found']);
    expect(both.api.requests[0]?.text).toBe(get('/lookup'));
    expect(both.proxy.proxy.connections.upstreamIdle).toBe(1);
  });

  test('returns an answer that ends with its connection', async () => {
    await using both = await startBoth({
      onRequest: ({ connection }) => connection.socket.end('HTTP/1.1 200 OK\r\n\r\nfound'),
    });
    expect((await both.proxy.proxy.callUpstream(LOOKUP)).body.toString()).toBe('found');
  });

  test('is retried when its connection had been idle and is closed', async () => {
    await using both = await startBoth({ onRequest: respond });
    await both.proxy.proxy.callUpstream(LOOKUP);
    both.api.behaviour = {
      onRequest(request) {
        if (request.connection === both.api.connections[0]) request.connection.socket.resetAndDestroy();
        else respond(request);
      },
    };
    expect((await both.proxy.proxy.callUpstream(LOOKUP)).status).toBe(200);
  });

  test.each([
    ['breaks off', 'closed the connection', answer('found').slice(0, -1)],
    ['does not speak HTTP', 'not valid HTTP', 'nonsense\r\n\r\n'],
    ['answers with too much', 'too large', answer('x'.repeat(2_000))],
  ])('fails when the API %s', async (_name, message, response) => {
    await using both = await startBoth(
      { onRequest: ({ connection }) => connection.socket.end(response) },
      { limits: { callBodyBytes: 1_000 } },
    );
    await expect(both.proxy.proxy.callUpstream(LOOKUP)).rejects.toThrow(message);
  });

  test('fails when the API takes too long, and releases the connection', async () => {
    await using both = await startBoth({}, { limits: { callMs: 30 } });
    await expect(both.proxy.proxy.callUpstream(LOOKUP)).rejects.toThrow('too long');
    await both.api.connections[0]?.closed;
  });

  test('fails when it is aborted', async () => {
    await using both = await startBoth({});
    const aborting = new AbortController();
    const called = both.proxy.proxy.callUpstream(LOOKUP, aborting.signal);
    const failed = expect(called).rejects.toThrow('aborted');
    await waitFor(() => both.api.requests[0], { for: 'the request' });
    aborting.abort();
    await failed;
    await both.api.connections[0]?.closed;
    await expect(both.proxy.proxy.callUpstream(LOOKUP, aborting.signal)).rejects.toThrow('aborted');
  });

  test('is refused when its header or target contains a line break', async () => {
    await using both = await startBoth({ onRequest: respond });
    const fields = [{ name: 'Host', value: 'a\r\nX-Smuggled: 1\r\n' }];
    await expect(both.proxy.proxy.callUpstream({ ...LOOKUP, fields })).rejects.toThrow();
    await expect(both.proxy.proxy.callUpstream({ ...LOOKUP, target: '/a HTTP/1.1\r\nX: y' })).rejects.toThrow();
    expect(both.api.connections).toEqual([]);
  });
});
