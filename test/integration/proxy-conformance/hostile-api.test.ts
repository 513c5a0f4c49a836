import type { CaptureOutcome } from '@edge-migration/replay-sidecar/capture/proxy/hook.ts';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { HOSTILITY, type Hostility, TALKATIVE, TOKEN } from './support/hostile.ts';
import {
  createRecordingHook,
  type ProxyUnderTest,
  type RecordingHook,
  startProxy,
} from './support/proxy-under-test.ts';
import { connectRaw } from './support/raw-client.ts';
import { type RawUpstream, type SeenRequest, startRawUpstream } from './support/raw-upstream.ts';
import { ORDINARY, readMessages } from './support/reading.ts';
import { ask, get, respond } from './support/setup.ts';

// Hundreds of exchanges per test take their time on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

let api: RawUpstream;
let proxy: ProxyUnderTest;
let hook: RecordingHook;
let missing: string[] = [];

beforeAll(async () => {
  api = await startRawUpstream();
  hook = createRecordingHook();
  // Few connections, so that one client's are reused for another.
  proxy = await startProxy({
    upstreamPort: api.port,
    hook,
    limits: { idleUpstreamConnections: 2, headBytes: 200_000 },
  });
});

afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

const REQUEST = fc.record({
  method: fc.constantFrom('GET', 'GET', 'HEAD', 'POST', 'DELETE'),
  hostility: HOSTILITY,
  /** Sent together with the previous request. */
  piled: fc.boolean(),
});
type Request = typeof REQUEST extends fc.Arbitrary<infer T> ? T : never;

const CONVERSATIONS = fc.array(fc.array(REQUEST, { minLength: 1, maxLength: 3 }), { minLength: 2, maxLength: 3 });

test("no answer of the API gives a client another's bytes, breaks the order of answers or hides an outcome", async () => {
  await fc.assert(
    fc.asyncProperty(CONVERSATIONS, async (clients) => {
      await check(clients, await exchange(clients, 'together'));
    }),
    { numRuns: 400 },
  );
  api.behaviour = { onRequest: respond };
  expect(await ask(proxy.port, get('/after'))).toContain(' 200 ');
});

test('bytes that the API sends over an idle connection reach no client', async () => {
  const request = fc.record({
    method: fc.constantFrom('GET', 'POST'),
    hostility: TALKATIVE,
    piled: fc.constant(false),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 2, maxLength: 4 }), async (requests) => {
      const clients = requests.map((one) => [one]);
      const received = await exchange(clients, 'later');
      expect(received.map((text, client) => answersOf(text, clients[client] ?? []).length)).toEqual(
        clients.map(() => 1),
      );
      await check(clients, received);
    }),
    { numRuns: 150 },
  );
});

async function check(clients: readonly (readonly Request[])[], received: readonly string[]): Promise<void> {
  for (const [client, text] of received.entries()) {
    const tokens = [...text.matchAll(/\/c(\d)-\d{4}/g)].map(([token]) => token);
    expect(
      tokens.filter((token) => !token.startsWith(`/c${client}-`)),
      'bytes of another client',
    ).toEqual([]);
    const requests = clients[client] ?? [];
    const answered = answersOf(text, requests).map(({ token }) => token);
    const asked = requests.map((_, n) => targetOf(client, n));
    expect(answered, 'one answer a request, in order').toEqual(asked.slice(0, answered.length));
    await checkOutcomes(client, text, requests);
  }
  expect(missing, 'requests that the API got and the capture did not see').toEqual([]);
}

/** The capture of an answered client knows that, and never reports a request seen by the API as not sent. */
async function checkOutcomes(client: number, text: string, requests: readonly Request[]): Promise<void> {
  const told = new Map<string, CaptureOutcome>();
  for (const call of hook.calls) told.set(call.head.target, await call.finished);
  for (const { token, status } of answersOf(text, requests)) {
    expect(told.get(token), `${token} was answered ${status}`).toMatchObject({ kind: 'responded', status });
  }
  for (const { message } of api.requests) {
    const target = message.firstLine.split(' ')[1] ?? '';
    if (target.startsWith(`/c${client}-`)) expect(told.get(target)?.kind, target).not.toBe('notSent');
  }
}

/**
 * Returns each client's bytes. `together`: all clients at once, unasked bytes with the answer. `later`: one after
 * the other, unasked bytes when the connection is idle again.
 */
async function exchange(clients: readonly (readonly Request[])[], unasked: 'together' | 'later'): Promise<string[]> {
  api.clear();
  hook.calls.splice(0);
  missing = [];
  let performed: Promise<void> = Promise.resolve();
  api.behaviour = {
    onRequest(request) {
      const [, client = '', n = ''] = /\/c(\d)-(\d{4})/.exec(request.message.firstLine) ?? [];
      const hostility = clients[Number(client)]?.[Number(n)]?.hostility;
      const target = targetOf(Number(client), Number(n));
      if (!hook.calls.some((call) => call.head.target === target)) missing.push(target);
      if (hostility !== undefined) performed = perform(hostility, target, request, unasked);
    },
  };
  if (unasked === 'together') return await Promise.all(clients.map((requests, client) => converse(client, requests)));
  const received: string[] = [];
  for (const [client, requests] of clients.entries()) {
    received.push(await converse(client, requests));
    await performed;
  }
  return received;
}

async function converse(client: number, requests: readonly Request[]): Promise<string> {
  using connection = await connectRaw(proxy.port);
  for (const [n, { method, piled }] of requests.entries()) {
    if (!piled) await turns(3);
    const body = method === 'POST' ? '{}' : '';
    const length = body === '' ? '' : `Content-Length: ${body.length}\r\n`;
    connection.send(`${method} ${targetOf(client, n)} HTTP/1.1\r\nHost: a\r\n${length}\r\n${body}`);
  }
  connection.end();
  return await connection.all();
}

async function perform(
  hostility: Hostility,
  target: string,
  { message, connection: { socket } }: SeenRequest,
  unasked: 'together' | 'later',
): Promise<void> {
  const render = (bytes: string) => Buffer.from(bytes.replaceAll(TOKEN, target), 'latin1');
  const { cuts, connection } = hostility;
  const bodiless = message.firstLine.startsWith('HEAD') && connection === 'keep';
  const bytes = render(bodiless ? withoutBody(hostility.bytes) : hostility.bytes);
  const together = unasked === 'together' ? Buffer.concat([bytes, render(hostility.unasked)]) : bytes;
  const offsets = [0, ...cuts.map((cut) => Math.floor(cut * bytes.length)).sort((a, b) => a - b)];
  for (const [n, from] of offsets.entries()) {
    socket.write(together.subarray(from, offsets[n + 1] ?? together.length));
    await turns(1);
  }
  if (connection === 'end') socket.end();
  else if (connection === 'reset') socket.resetAndDestroy();
  if (unasked === 'together') return;
  await turns(5);
  if (socket.writable) await new Promise<void>((sent) => socket.write(render(hostility.unasked), () => sent()));
  await turns(5);
}

/** Interim heads and the final one. */
function withoutBody(bytes: string): string {
  const interim = /^(?:HTTP\/1\.1 1[\s\S]*?\r\n\r\n)*/.exec(bytes)?.[0] ?? '';
  return interim + bytes.slice(interim.length, bytes.indexOf('\r\n\r\n', interim.length) + 4);
}

/** Complete final answers from the API; the proxy's own carry no token. */
function answersOf(text: string, requests: readonly Request[]): { token: string; status: number }[] {
  let answered = 0;
  const messages = readMessages(
    text,
    ORDINARY,
    (line) => {
      const status = Number(line.split(' ')[1]);
      if (status < 200) return 'interim';
      const method = requests[answered++]?.method;
      return method === 'HEAD' || status === 204 || status === 304 ? 'interim' : 'untilClose';
    },
    true,
  );
  return messages.flatMap(({ firstLine, fields }) => {
    const token = new Map(fields).get('X-Token');
    const status = Number(firstLine.split(' ')[1]);
    return token === undefined || !(status >= 200) ? [] : [{ token, status }];
  });
}

function targetOf(client: number, n: number): string {
  return `/c${client}-${String(n).padStart(4, '0')}`;
}

async function turns(count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await new Promise((resolve) => setImmediate(resolve));
}
