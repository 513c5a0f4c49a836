import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { CASES, type Case } from './support/cases.ts';
import { comparableRequest, comparableResponses } from './support/differences.ts';
import { createRecordingHook, type ProxyUnderTest, startProxy } from './support/proxy-under-test.ts';
import { connectRaw } from './support/raw-client.ts';
import { type RawUpstream, startRawUpstream } from './support/raw-upstream.ts';
import { readResponses } from './support/reading.ts';

// Hundreds of exchanges per test take their time on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

/** Both ends' view of one request. */
interface Sight {
  readonly api: readonly string[];
  readonly client: string;
}

let api: RawUpstream;
let passing: ProxyUnderTest;
let capturing: ProxyUnderTest;
const hook = createRecordingHook();

beforeAll(async () => {
  api = await startRawUpstream();
  passing = await startProxy({ upstreamPort: api.port });
  capturing = await startProxy({ upstreamPort: api.port, hook });
});

afterAll(async () => {
  await passing[Symbol.asyncDispose]();
  await capturing[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

beforeEach(() => hook.calls.splice(0));

test('the conformance suite has at least 200 different cases', () => {
  expect(CASES.length).toBeGreaterThanOrEqual(200);
});

describe('the API and the client see the same through the proxy as without it', () => {
  test.each(CASES)('$name', async (one) => {
    const direct = await send(one, api.port);
    expect(direct.api, 'the case itself works').toHaveLength(1);
    expect(await send(one, passing.port)).toEqual(direct);
  });
});

describe('the API and the client see the same when every request and response is captured', () => {
  test.each(CASES)('$name', async (one) => {
    const direct = await send(one, api.port);
    expect(await send(one, capturing.port)).toEqual(direct);
    const [call] = hook.calls;
    const outcome = await call?.finished;
    expect(hook.misses).toEqual([]);
    const request = api.requests[0]?.message;
    expect(call?.intent).toEqual({ body: request?.body, extent: 'whole' });
    const answer = readResponses(one.response, [methodOf(one)], true).at(-1);
    const captured = outcome?.kind === 'responded' ? outcome : undefined;
    expect(captured?.status).toBe(Number(answer?.firstLine.split(' ')[1]));
    expect(captured?.body?.toString('latin1')).toBe(answer?.body);
    expect(captured?.truncated).toBe(false);
  });
});

describe('the API and the client see the same when the bytes arrive in pieces', () => {
  const short = CASES.filter(({ request, response }) => request.length + response.length < 2_000);

  test('of requests and responses', async () => {
    const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...short), cuts, async (one, at) => {
        const direct = await send(one, api.port);
        expect(await send(one, passing.port, at)).toEqual(direct);
        expect(await send(one, capturing.port, at)).toEqual(direct);
      }),
      { numRuns: 150 },
    );
  });

  test('of one byte each', async () => {
    const one = CASES.find(({ name }) => name === 'POST with trailers') as Case;
    const everywhere = Array.from({ length: 400 }, (_, index) => index / 400);
    expect(await send(one, capturing.port, everywhere)).toEqual(await send(one, api.port));
  });
});

/** Sends the case's bytes to the port and returns the comparable part of what both ends saw. */
async function send(one: Case, port: number, cuts: readonly number[] = []): Promise<Sight> {
  api.clear();
  api.behaviour = {
    onHead: (_head, { socket }) => {
      if (one.interim !== undefined) socket.write(Buffer.from(one.interim, 'latin1'));
    },
    onRequest: ({ connection: { socket } }) => {
      void inPieces(one.response, cuts, (piece) => socket.write(Buffer.from(piece, 'latin1'))).then(() => {
        if (one.closes === true) socket.end();
      });
    },
  };
  using client = await connectRaw(port);
  if (one.interim === undefined) await inPieces(one.request, cuts, client.send);
  else {
    const headEnd = one.request.indexOf('\r\n\r\n') + 4;
    client.send(one.request.slice(0, headEnd));
    await client.until((received) => received.includes(' 100 '));
    client.send(one.request.slice(headEnd));
  }
  const received = await client.untilOrEnd((text) => readResponses(text, [methodOf(one)], false).some(isFinal));
  const version = / HTTP\/(1\.[01])\r\n/.exec(one.request)?.[1] ?? '';
  return {
    api: api.requests.map(({ text }) => comparableRequest(text)),
    client: comparableResponses(received, version),
  };
}

/** `cuts`: where to cut, as fractions of the whole. Each piece is on its way before the next is sent. */
async function inPieces(text: string, cuts: readonly number[], send: (piece: string) => void): Promise<void> {
  const offsets = [...new Set([0, ...cuts.map((cut) => Math.floor(cut * text.length)), text.length])].sort(
    (a, b) => a - b,
  );
  for (const [index, offset] of offsets.slice(0, -1).entries()) {
    if (index > 0) await new Promise((resolve) => setImmediate(resolve));
    send(text.slice(offset, offsets[index + 1]));
  }
}

function methodOf(one: Case): string {
  return one.request.trimStart().split(' ')[0] ?? '';
}

function isFinal({ firstLine }: { firstLine: string }): boolean {
  return !/^HTTP\/1\.1 1/.test(firstLine);
}
