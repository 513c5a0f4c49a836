import { describe, expect, test } from 'vitest';
import { forwardRequest, forwardResponse, keepsAlive } from './forwarding.ts';
import { FramingError } from './framing-error.ts';
import { parseRequest, parseResponse } from './head.ts';

const head = (first: string, lines: readonly string[]) => `${[first, ...lines].join('\r\n')}\r\n\r\n`;
const request = (lines: readonly string[], version = '1.1') => parseRequest(head(`GET /a HTTP/${version}`, lines));
const response = (lines: readonly string[], version = '1.1') => parseResponse(head(`HTTP/${version} 200 OK`, lines));
const linesOf = (text: string) => text.split('\r\n').slice(1, -2);

describe('from a request the API gets', () => {
  test.each([
    ['a plain head as it is', ['Host: a', 'X:  1 '], ['Host: a', 'X:  1 ']],
    ['a connection to be kept as it is', ['Connection: keep-alive', 'A: 1'], ['Connection: keep-alive', 'A: 1']],
    ['no wish to close', ['A: 1', 'Connection: close', 'B: 2'], ['A: 1', 'B: 2']],
    [
      'no fields about a connection',
      ['Keep-Alive: 5', 'Proxy-Connection: x', 'TE: gzip', 'Upgrade: h', 'HTTP2-Settings: x', 'A: 1'],
      ['A: 1'],
    ],
    ...['X-Forwarded-For', 'Authorization', 'Cookie', 'X-Environment-Key', 'Content-Length', 'Host', 'X-A'].map(
      (name): [string, string[], string[]] => [
        `${name}, although Connection names it`,
        [`Connection: close, ${name.toLowerCase()}`, `${name}: 1`, `connection: ${name}`],
        [`${name}: 1`],
      ],
    ),
    [
      'no field whose name WSGI could take for another one',
      ['SCRIPT_NAME: /x', 'A: 1', 'Path_Info: /y', 'x_forwarded-for: 1.2.3.4', '_: 1', 'A-B: 2', 'A_B: 3'],
      ['A: 1', 'A-B: 2'],
    ],
    ['no such field next to a connection to be kept', ['Connection: keep-alive', 'A_B: 1'], ['Connection: keep-alive']],
    [
      'the wish for an upgrade',
      ['Connection: Upgrade', 'Upgrade: websocket'],
      ['Connection: Upgrade', 'Upgrade: websocket'],
    ],
    [
      'that wish without others',
      ['connection: X-A, upgrade, close', 'X-A: 1', 'Upgrade: websocket'],
      ['connection: upgrade', 'X-A: 1', 'Upgrade: websocket'],
    ],
    ['no wish for HTTP/2', ['Connection: Upgrade', 'Upgrade: h2c'], []],
    ['no wish for HTTP/2 among others', ['Connection: Upgrade', 'Upgrade: websocket, h2c'], []],
    ['an acceptance of trailers', ['TE: trailers', 'Connection: TE'], ['TE: trailers', 'Connection: TE']],
    ['no acceptance of more', ['TE: trailers, deflate', 'Connection: TE'], []],
  ])('%s', (_name, sent, seen) => {
    const forwarded = forwardRequest(request(sent), 'off', '1.2.3.4');
    expect(linesOf(forwarded.text)).toEqual(seen);
    expect(forwarded.fields).toEqual(parseRequest(forwarded.text).fields);
  });

  test.each(['off', 'append', 'replace'] as const)(
    'no aliased name, whatever happens to forwarded fields: %s',
    (policy) => {
      const sent = ['Host: a', 'X_Forwarded_For: 6.6.6.6', 'X_FORWARDED_PROTO: https', 'Script_Name: /x'];
      const { text, fields, aliases } = forwardRequest(request(sent), policy, '1.2.3.4');
      expect(linesOf(text).filter((line) => line.includes('_'))).toEqual([]);
      expect(fields).toEqual(parseRequest(text).fields);
      expect(aliases).toBe(3);
    },
  );

  test.each(['Connection: ', 'Connection: upgrade\r\nUpgrade: '])(
    'nothing, when this is an endless list: %j',
    (line) => {
      expect(() => forwardRequest(request([line + 'a,'.repeat(10_000)]), 'off', '1.2.3.4')).toThrow(FramingError);
    },
  );

  test('no upgrade of HTTP/1.0', () => {
    const forwarded = forwardRequest(request(['Connection: upgrade', 'Upgrade: websocket'], '1.0'), 'off', '1.2.3.4');
    expect(linesOf(forwarded.text)).toEqual([]);
    expect(forwarded.upgrade).toBe(false);
  });
});

test.each([
  ['1.1', [], true],
  ['1.1', ['Connection: close'], false],
  ['1.1', ['Connection: Keep-Alive, CLOSE'], false],
  ['1.0', [], false],
  ['1.0', ['Connection: Keep-Alive'], true],
])('HTTP/%s with %j keeps its connection: %s', (version, lines, kept) => {
  expect(forwardRequest(request(lines, version), 'off', '1.2.3.4').keepAlive).toBe(kept);
  expect(keepsAlive(response(lines, version))).toBe(kept);
});

describe('from a response the client gets', () => {
  test.each([
    ['a plain head as it is', true, ['A: 1'], ['A: 1']],
    [
      'that its connection is kept, as the API said it',
      true,
      ['Connection: keep-alive', 'A: 1'],
      ['Connection: keep-alive', 'A: 1'],
    ],
    [
      'that its connection is kept although the API closes',
      true,
      ['A: 1', 'connection: close', 'B: 1'],
      ['A: 1', 'connection: keep-alive', 'B: 1'],
    ],
    ['that its connection is closed although the API keeps', false, ['Connection: keep-alive'], ['Connection: close']],
    ['that its connection is closed although the API said nothing', false, ['A: 1'], ['A: 1', 'Connection: close']],
    [
      'nothing for the hop behind us',
      true,
      ['Keep-Alive: 2', 'Connection: keep-alive, x-a', 'X-A: 1'],
      ['Connection: keep-alive'],
    ],
    [
      'to what it could upgrade',
      true,
      ['Connection: upgrade', 'Upgrade: websocket'],
      ['Connection: keep-alive, upgrade', 'Upgrade: websocket'],
    ],
  ])('%s', (_name, persist, sent, seen) => {
    const text = forwardResponse(response(sent), persist, { version: '1.1' }, false);
    expect(linesOf(text)).toEqual(seen);
  });

  test.each([
    ['that a connection of HTTP/1.0 is kept', true, '1.0', false, ['Connection: keep-alive']],
    ['nothing more when the end of the body is the end of the connection', false, '1.1', true, []],
  ] as const)('%s', (_name, persist, version, untilClose, seen) => {
    expect(linesOf(forwardResponse(response([]), persist, { version }, untilClose))).toEqual(seen);
  });
});
