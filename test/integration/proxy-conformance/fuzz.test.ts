import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { AMBIGUOUS_REQUEST, AMBIGUOUS_RESPONSE, CUTS } from './support/ambiguous.ts';
import { createRecordingHook, PASS_ALL, type ProxyUnderTest, startProxy } from './support/proxy-under-test.ts';
import { connectRaw } from './support/raw-client.ts';
import { type RawUpstream, startRawUpstream } from './support/raw-upstream.ts';
import { type Message, ORDINARY, READINGS, readMessages, readRequests, readResponses } from './support/reading.ts';

// Hundreds of exchanges per test take their time on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

let api: RawUpstream;
let proxy: ProxyUnderTest;
/** The targets of all requests seen by the proxy, in order. */
let begun: string[] = [];

beforeAll(async () => {
  api = await startRawUpstream();
  const hook = createRecordingHook(
    () => ({}),
    ({ target }) => begun.push(target) > 0 && target.startsWith('/captured'),
  );
  proxy = await startProxy({ upstreamPort: api.port, hook, limits: { idleUpstreamConnections: 2 } });
});

afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

beforeEach(() => {
  api.behaviour = {
    onRequest({ message, connection: { socket } }) {
      const target = message.firstLine.split(' ')[1] ?? '';
      const method = message.firstLine.split(' ')[0];
      const body = method === 'HEAD' ? '' : target;
      socket.write(
        Buffer.from(
          `HTTP/1.1 200 OK\r\nX-Target: ${target}\r\nContent-Length: ${target.length}\r\n\r\n${body}`,
          'latin1',
        ),
      );
    },
  };
});

test('no request reaches the API that another reader of the same bytes would not see the same way', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(AMBIGUOUS_REQUEST, { minLength: 1, maxLength: 4 }), CUTS, async (requests, cuts) => {
      const received = await exchange(requests.map((request, n) => request(n)).join(''), cuts);
      for (const connection of api.connections) {
        const ordinary = boundaries(connection.received);
        for (const reading of READINGS) {
          const found = readRequests(connection.received, reading).map(({ end }) => end);
          expect(found, `${reading.name}: ${JSON.stringify(connection.received)}`).toEqual(ordinary);
        }
      }
      // The API saw exactly what the capture saw, and each answer went to its own request.
      const seen = api.requests.map(({ message }) => targetOf(message));
      expect(begun.slice(0, seen.length)).toEqual(seen);
      expect(answered(received)).toEqual(seen.slice(0, answered(received).length));
    }),
    { numRuns: 1500 },
  );
});

test('requests with only one reading are all answered, in order, however they are split and pipelined', async () => {
  const body = fc.string({
    unit: fc.constantFrom('a', '\r', '\n', '0', '\xff', ':', ' ', 'GET / HTTP/1.1\r\n\r\n'),
    maxLength: 30,
  });
  const request = fc.record({
    method: fc.constantFrom('GET', 'POST', 'PUT', 'HEAD', 'DELETE'),
    prefix: fc.constantFrom('/', '/captured'),
    body: fc.option(body, { nil: undefined }),
    chunks: fc.option(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }), { nil: undefined }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 5 }), CUTS, async (requests, cuts) => {
      const received = await exchange(requests.map(format).join(''), cuts);
      expect(api.requests.map(({ message }) => [targetOf(message), message.body])).toEqual(
        requests.map(({ prefix, body }, n) => [`${prefix}${n}`, body ?? '']),
      );
      const responses = readResponses(
        received,
        requests.map(({ method }) => method),
        true,
      );
      expect(responses.map(({ fields }) => new Map(fields).get('X-Target'))).toEqual(begun);
    }),
    { numRuns: 300 },
  );
});

test('no answer of the API shifts the answers after it', async () => {
  await using plain = await startProxy({ upstreamPort: api.port, hook: PASS_ALL });
  const sentinel = 'HTTP/1.1 299 Sentinel\r\nContent-Length: 0\r\n\r\n';
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('GET', 'HEAD', 'POST'),
      AMBIGUOUS_RESPONSE,
      fc.boolean(),
      async (method, bytes, ends) => {
        api.clear();
        api.behaviour = {
          onRequest({ message, connection: { socket } }) {
            if (targetOf(message) === '/second') socket.write(sentinel);
            else
              socket.write(Buffer.from(bytes, 'latin1'), () =>
                ends ? socket.end() : setImmediate(() => socket.end()),
              );
          },
        };
        using client = await connectRaw(plain.port);
        client.send(`${method} /first HTTP/1.1\r\nHost: a\r\n\r\n`);
        client.send('OPTIONS /second HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
        const received = await client.all();
        if (!received.includes('299 Sentinel')) return;
        // The second request was sent, so every reader must find its answer second.
        for (const reading of READINGS) {
          const finals = readMessages(received, reading, bodiless(method), true).filter(
            ({ firstLine }) => !/^HTTP\/1.1 1/.test(firstLine),
          );
          expect(finals[1]?.firstLine, `${reading.name}: ${JSON.stringify(received)}`).toBe('HTTP/1.1 299 Sentinel');
        }
      },
    ),
    { numRuns: 700 },
  );
});

/** Sends the bytes in pieces, ends, and returns what arrived until the proxy also ended. */
async function exchange(bytes: string, cuts: readonly number[]): Promise<string> {
  api.clear();
  begun = [];
  using client = await connectRaw(proxy.port);
  const offsets = [0, ...cuts.map((cut) => Math.floor(cut * bytes.length)).sort((a, b) => a - b), bytes.length];
  for (const [index, offset] of offsets.slice(0, -1).entries()) {
    client.send(bytes.slice(offset, offsets[index + 1]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  client.end();
  return await client.all();
}

function boundaries(text: string): number[] {
  return readRequests(text, ORDINARY).map(({ end }) => end);
}

function targetOf(message: Message): string {
  return message.firstLine.split(' ')[1] ?? '';
}

/** The targets that these answers belong to; the proxy's own refusals carry none. */
function answered(received: string): string[] {
  return [...received.matchAll(/\r\nX-Target: (\S+)\r\n/g)].map(([, target]) => target ?? '');
}

function format(
  {
    method,
    prefix,
    body,
    chunks,
  }: { method: string; prefix: string; body: string | undefined; chunks: readonly number[] | undefined },
  n: number,
): string {
  const head = `${method} ${prefix}${n} HTTP/1.1\r\nHost: a\r\n`;
  if (body === undefined) return `${head}\r\n`;
  if (chunks === undefined) return `${head}Content-Length: ${body.length}\r\n\r\n${body}`;
  let at = 0;
  let text = `${head}Transfer-Encoding: chunked\r\n\r\n`;
  for (let index = 0; at < body.length; index += 1) {
    const piece = body.slice(at, at + (chunks[index % chunks.length] ?? 1));
    at += piece.length;
    text += `${piece.length.toString(16)}\r\n${piece}\r\n`;
  }
  return `${text}0\r\n\r\n`;
}

function bodiless(method: string): (firstLine: string) => 'interim' | 'untilClose' {
  let first = true;
  return (firstLine) => {
    const status = Number(firstLine.split(' ')[1]);
    if (status < 200) return 'interim';
    const bare = (first && method === 'HEAD') || status === 204 || status === 304;
    first = false;
    return bare ? 'interim' : 'untilClose';
  };
}
