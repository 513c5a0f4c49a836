/** The reader of server-sent events, on a real HTTP server. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { type Api, ApiProblemError } from './api.ts';
import { followEvents } from './events.ts';

const stack: AsyncDisposableStack[] = [];
afterEach(async () => {
  for (const each of stack.splice(0)) await each.disposeAsync();
});

/** Answers successive connections with these. */
async function serve(...answers: ((response: ServerResponse) => void)[]) {
  let served = 0;
  const server = createServer((_, response) => answers[Math.min(served++, answers.length - 1)]!(response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const closing = new AsyncDisposableStack();
  closing.defer(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  stack.push(closing);
  const api = {
    async open(path: string, signal?: AbortSignal) {
      const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/${path}`, {
        signal: signal ?? null,
      });
      if (response.ok) return response;
      await response.body?.cancel();
      throw new ApiProblemError({ title: '', status: response.status, code: '', detail: '' });
    },
  } as Api;
  return { api, connections: () => served };
}

const head = (response: ServerResponse) => response.writeHead(200, { 'content-type': 'text/event-stream' });

/** Follows until `enough` events came, or the stream ended permanently. */
async function follow(api: Api, enough: number) {
  const events: unknown[] = [];
  const live: boolean[] = [];
  const stop = new AbortController();
  const listener = {
    event({ name, data }: { name: string; data: unknown }) {
      events.push([name, data]);
      if (events.length === enough) stop.abort();
    },
    live: (isLive: boolean) => void live.push(isLive),
  };
  await followEvents(api, 'events/', listener, stop.signal);
  return { events, live };
}

test('events arrive in order, even when a character is split between chunks', async () => {
  const bytes = Buffer.from('event: project\ndata: {"name":"Zürich"}\n\n: heartbeat\n\nevent: removed\ndata: {}\n\n');
  const { api } = await serve((response) => {
    head(response);
    const cut = bytes.indexOf(0xc3) + 1;
    response.write(bytes.subarray(0, cut), () => response.write(bytes.subarray(cut)));
  });
  const { events } = await follow(api, 2);
  expect(events).toEqual([
    ['project', { name: 'Zürich' }],
    ['removed', {}],
  ]);
});

test('a broken event stream is reopened, and the page learns that it was not live', async () => {
  const { api, connections } = await serve(
    (response) => {
      head(response).write('event: project\ndata: 1\n\n', () => response.destroy());
    },
    (response) => {
      head(response).write('event: project\ndata: 2\n\n');
    },
  );
  const { events, live } = await follow(api, 2);
  expect(events).toEqual([
    ['project', 1],
    ['project', 2],
  ]);
  expect(connections()).toBe(2);
  expect(live).toEqual([true, false, true, false]);
});

test.for(['invalid_token', 'forbidden'])('an event stream that ends with %s is not reopened', async (code) => {
  const { api, connections } = await serve((response) => {
    head(response).end(`event: end\ndata: {"code":"${code}","detail":""}\n\n`);
  });
  expect((await follow(api, 1)).events).toEqual([]);
  expect(connections()).toBe(1);
});

test.for([401, 403, 404])('an event stream that is refused with %i is not requested again', async (status) => {
  const { api, connections } = await serve((response) => response.writeHead(status).end());
  await follow(api, 1);
  expect(connections()).toBe(1);
});
