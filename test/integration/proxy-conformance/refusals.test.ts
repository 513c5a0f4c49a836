import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createRecordingHook, type ProxyUnderTest, startProxy } from './support/proxy-under-test.ts';
import { connectRaw } from './support/raw-client.ts';
import { OK, type RawUpstream, startRawUpstream } from './support/raw-upstream.ts';

const hook = createRecordingHook();
let api: RawUpstream;
let proxy: ProxyUnderTest;

beforeAll(async () => {
  api = await startRawUpstream({ onRequest: ({ connection }) => connection.socket.write(OK) });
  proxy = await startProxy({ upstreamPort: api.port, hook, limits: { headBytes: 100_000 } });
});

afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

beforeEach(() => {
  api.clear();
  hook.calls.splice(0);
});

const START = 'POST /a HTTP/1.1\r\nHost: a\r\n';
const CHUNKED = `${START}Transfer-Encoding: chunked\r\n\r\n`;

/** Some releases of gunicorn or Python find a path in these where others do not. */
const TARGETS = [
  ...['x:/api/v1/identities/', 'http:/api/v1/identities/', 'javascript:/api/v1/identities/', 'x:%2Fapi/v1/identities/'],
  ...['X:/api/v1/identities/?a=b://c', 'x:api/v1/identities/', 'x://a/api/v1/identities/', 'http:api/v1/identities/'],
  ...['http:///api/v1/identities/', 'http://[/api/v1/identities/', 'http://a]/api/', 'http://a@b/api/v1/identities/'],
  ...['http://a%2Fapi/v1/identities/', 'http://\xe2\x84\x80/api/v1/identities/', 'http://a:x/api/v1/identities/'],
  ...[
    'http://a:80:80/',
    'api/v1/identities/',
    'a:80',
    '*',
    '?a',
    '#/api/v1/identities/',
    '%2Fapi/v1/identities/',
    '\\a',
  ],
  ...[';/api/v1/identities/', ':/api/v1/identities/', '://a/api/v1/identities/', 'http:\\\\a/api/v1/identities/'],
];

/** Heads that are refused before anything is forwarded. */
const HEADS: readonly (readonly [name: string, reason: string, bytes: string])[] = [
  [
    'a length and a transfer coding',
    'lengthAndEncoding',
    `${START}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  [
    'the same in the other order',
    'lengthAndEncoding',
    `${START}Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n`,
  ],
  ['two different lengths', 'contentLength', `${START}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`],
  ['the same length twice', 'contentLength', `${START}Content-Length: 5\r\ncontent-length: 5\r\n\r\nhello`],
  ['a list of lengths', 'contentLength', `${START}Content-Length: 5, 5\r\n\r\nhello`],
  ['a signed length', 'contentLength', `${START}Content-Length: +5\r\n\r\nhello`],
  ['a negative length', 'contentLength', `${START}Content-Length: -5\r\n\r\nhello`],
  ['a hexadecimal length', 'contentLength', `${START}Content-Length: 0x5\r\n\r\nhello`],
  ['an empty length', 'contentLength', `${START}Content-Length: \r\n\r\n`],
  ['a length beyond 2^53', 'contentLength', `${START}Content-Length: 9007199254740993\r\n\r\n`],
  ['a coding that is not chunked', 'transferEncoding', `${START}Transfer-Encoding: gzip\r\n\r\n`],
  ['chunked behind another coding', 'transferEncoding', `${START}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
  [
    'chunked twice',
    'transferEncoding',
    `${START}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  ['chunked with a vertical tab', 'transferEncoding', `${START}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`],
  ['chunked in HTTP/1.0', 'transferEncoding', 'POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['a folded line', 'foldedField', `${START}X: a\r\n b\r\n\r\n`],
  ['a first line that is folded', 'foldedField', 'GET /a HTTP/1.1\r\n X: a\r\n\r\n'],
  ['a space before the colon', 'fieldName', `${START}Content-Length : 5\r\n\r\nhello`],
  ['a tab before the colon', 'fieldName', `${START}Content-Length\t: 5\r\n\r\nhello`],
  ['a line without colon', 'fieldName', `${START}Content-Length\r\n\r\n`],
  ['a line without name', 'fieldName', `${START}: a\r\n\r\n`],
  ['a name above ASCII', 'fieldName', `${START}Content-Length\xa0: 5\r\n\r\n`],
  ['a NUL in a value', 'fieldValue', `${START}X: a\0b\r\n\r\n`],
  ['a bare line feed between lines', 'lineEnding', `GET /a HTTP/1.1\nHost: a\r\n\r\n`],
  ['a bare line feed in a value', 'lineEnding', `${START}X: a\nContent-Length: 5\r\n\r\n`],
  ['bare line feeds at the end', 'lineEnding', 'GET /a HTTP/1.1\r\nHost: a\n\n'],
  ['a bare carriage return in a value', 'lineEnding', `${START}X: a\rContent-Length: 5\r\n\r\n`],
  ['a bare carriage return in the request line', 'lineEnding', 'GET /a HTTP/1.1\rHost: a\r\n\r\n'],
  ['two spaces in the request line', 'requestLine', 'GET  /a HTTP/1.1\r\n\r\n'],
  ['a tab in the request line', 'requestLine', 'GET\t/a HTTP/1.1\r\n\r\n'],
  ['a space in the target', 'requestLine', 'GET /a b HTTP/1.1\r\n\r\n'],
  ['a request line in front of which is a space', 'requestLine', ' GET /a HTTP/1.1\r\n\r\n'],
  ['no version', 'requestLine', 'GET /a\r\n\r\n'],
  ['HTTP/2', 'version', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['a version that does not exist', 'version', 'GET /a HTTP/1.2\r\n\r\n'],
  ...TARGETS.map((target): [string, string, string] => [
    `the target ${target}`,
    'target',
    `POST ${target} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}`,
  ]),
  ['CONNECT', 'method', 'CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a head beyond the limit', 'headTooLarge', `${START}X: ${'a'.repeat(100_000)}\r\n\r\n`],
  ['a head beyond the limit without end', 'headTooLarge', `${START}X: ${'a'.repeat(200_000)}`],
];

describe('a request with more than one reading never reaches the API, and is counted', () => {
  test.each(HEADS)('%s', async (_name, reason, bytes) => {
    const before = await proxy.metric('refused_total', { reason });
    using client = await connectRaw(proxy.port);
    client.send(bytes);
    const received = await client.all();
    expect(received).toMatch(reason === 'headTooLarge' ? /^HTTP\/1\.1 431 / : /^HTTP\/1\.1 400 /);
    expect(received).toContain('\r\nConnection: close\r\n');
    expect(await proxy.metric('refused_total', { reason })).toBe(before + 1);
    expect(api.connections).toEqual([]);
    expect(hook.calls).toEqual([]);
  });
});

/** Bodies that turn out to be ambiguous when part of the request has already been forwarded. */
const BODIES: readonly (readonly [name: string, reason: string, bytes: string])[] = [
  ['a size that is no number', 'chunk', `${CHUNKED}x\r\n`],
  ['an empty size', 'chunk', `${CHUNKED}\r\n`],
  ['a signed size', 'chunk', `${CHUNKED}+5\r\nhello\r\n0\r\n\r\n`],
  ['a size with a prefix', 'chunk', `${CHUNKED}0x5\r\nhello\r\n0\r\n\r\n`],
  ['a space in front of the size', 'chunk', `${CHUNKED} 5\r\nhello\r\n0\r\n\r\n`],
  ['a space behind the size', 'chunk', `${CHUNKED}5 \r\nhello\r\n0\r\n\r\n`],
  ['a size beyond 2^52', 'chunk', `${CHUNKED}10000000000000\r\n`.replace('10000000000000', 'f'.repeat(14))],
  ['a size line ended by a line feed', 'lineEnding', `${CHUNKED}5\nhello\r\n0\r\n\r\n`],
  ['an extension with a line feed', 'lineEnding', `${CHUNKED}5;a\nb\r\nhello\r\n0\r\n\r\n`],
  ['an extension with a carriage return', 'chunk', `${CHUNKED}5;a\rb\r\nhello\r\n0\r\n\r\n`],
  ['an extension beyond the limit', 'chunk', `${CHUNKED}5;${'a'.repeat(5_000)}\r\nhello\r\n0\r\n\r\n`],
  ['data longer than its size', 'chunk', `${CHUNKED}5\r\nhello!\r\n0\r\n\r\n`],
  ['data ended by a line feed', 'chunk', `${CHUNKED}5\r\nhello\n0\r\n\r\n`],
  ['data without end of line', 'chunk', `${CHUNKED}5\r\nhello0\r\n\r\n`],
  ['trailers ended by line feeds', 'lineEnding', `${CHUNKED}0\r\nX: a\n\n`],
  ['a trailer with a carriage return', 'lineEnding', `${CHUNKED}0\r\nX: a\rb\r\n\r\n`],
  ['a folded trailer', 'foldedField', `${CHUNKED}0\r\nX: a\r\n b\r\n\r\n`],
  ['a length in the trailers', 'trailer', `${CHUNKED}0\r\nContent-Length: 5\r\n\r\n`],
  ['a coding in the trailers', 'trailer', `${CHUNKED}0\r\nTransfer-Encoding: chunked\r\n\r\n`],
  ['a trailer whose name WSGI could take for another one', 'trailer', `${CHUNKED}0\r\nScript_Name: /x\r\n\r\n`],
  ['trailers beyond the limit', 'trailer', `${CHUNKED}0\r\n${`X: ${'a'.repeat(1_000)}\r\n`.repeat(70)}\r\n`],
];

describe('a body that turns out to be ambiguous is broken off before the API can consider it complete', () => {
  test.each(BODIES)('%s', async (_name, reason, bytes) => {
    const before = await proxy.metric('refused_total', { reason });
    using client = await connectRaw(proxy.port);
    const headEnd = bytes.indexOf('\r\n\r\n') + 4;
    client.send(bytes.slice(0, headEnd));
    client.send(bytes.slice(headEnd));
    expect(await client.all()).toMatch(/^HTTP\/1\.1 400 /);
    expect(await proxy.metric('refused_total', { reason })).toBe(before + 1);
    await Promise.all(api.connections.map(({ closed }) => closed));
    expect(api.requests).toEqual([]);
    // Some of it may have arrived: then the capture learns that the outcome is unknown.
    expect(await hook.calls[0]?.finished).toEqual(
      hook.calls[0]?.intent === undefined ? { kind: 'notSent' } : { kind: 'unknown', why: 'clientGone' },
    );
  });
});

test('nothing after a refused request is read', async () => {
  using client = await connectRaw(proxy.port);
  client.send(
    `${START}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n`,
  );
  expect(await client.all()).not.toContain('200 OK');
  expect(api.connections).toEqual([]);
});

test('requests before a refused one are answered first', async () => {
  using client = await connectRaw(proxy.port);
  client.send('GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost : a\r\n\r\n');
  expect(await client.all()).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*okHTTP\/1\.1 400 /);
  expect(api.requests).toHaveLength(1);
});
