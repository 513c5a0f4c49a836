/** One request as bytes, and the bytes of the API's answer. */
export interface Case {
  readonly name: string;
  readonly request: string;
  readonly response: string;
  /** The API ends its connection after the response. */
  readonly closes?: boolean;
  /** The API sends this once it has the head; the client waits for it before it sends the body. */
  readonly interim?: string;
}

const HOST = 'Host: flags.example.com';
const OK =
  'HTTP/1.1 200 OK\r\nServer: gunicorn\r\nConnection: keep-alive\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"detail":"ok"}';
const HEAD_OK = OK.slice(0, OK.indexOf('{'));
const LONG = 'x'.repeat(70_000);

function head(first: string, ...lines: string[]): string {
  return `${[first, ...lines].join('\r\n')}\r\n\r\n`;
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'get'];

/** A way to send a body: its framing lines and its bytes. */
const BODIES: Readonly<Record<string, readonly [lines: readonly string[], bytes: string]>> = {
  'no body': [[], ''],
  'an empty body of known length': [['Content-Length: 0'], ''],
  'a body of known length': [['Content-Type: application/json', 'Content-Length: 18'], '{"identifier":"a"}'],
  'a length with leading zeros': [['Content-Length: 0002'], 'ab'],
  'a body of 70,000 bytes': [['Content-Length: 70000'], LONG],
  'a body with bytes that look like a request': [
    ['Content-Length: 29'],
    'GET /hidden HTTP/1.1\r\nA: b\r\n\r\n'.slice(0, 29),
  ],
  'an empty chunked body': [['Transfer-Encoding: chunked'], '0\r\n\r\n'],
  'one chunk': [['Transfer-Encoding: chunked'], '5\r\nhello\r\n0\r\n\r\n'],
  'many chunks with sizes in both cases': [
    ['transfer-encoding: Chunked'],
    `a\r\n0123456789\r\nA\r\n0123456789\r\n01\r\nx\r\n${(70_000).toString(16)}\r\n${LONG}\r\n000\r\n\r\n`,
  ],
  'chunk extensions': [['Transfer-Encoding: chunked'], '5;name=value;quoted="a;b"\r\nhello\r\n0;last\r\n\r\n'],
  trailers: [
    ['Trailer: X-Checksum, x-other', 'Transfer-Encoding: chunked'],
    '5\r\nhello\r\n0\r\nX-Checksum: abc\r\nx-other:  1 \r\nX-Checksum: def\r\n\r\n',
  ],
};

const bodies: Case[] = METHODS.flatMap((method) =>
  Object.entries(BODIES).map(([body, [lines, bytes]]) => ({
    name: `${method} with ${body}`,
    request: head(`${method} /api/v1/identities/ HTTP/1.1`, HOST, 'X-Environment-Key: key', ...lines) + bytes,
    response: method === 'HEAD' ? HEAD_OK : OK,
  })),
);

/** Shapes of heads; `{method}` and `{body}` are filled in. */
const HEADS: Readonly<Record<string, readonly string[]>> = {
  'lines in unusual order and case': ['{method} /a HTTP/1.1', 'x-B: 1', 'HOST: h', 'X-a: 2', 'aCCEPT: */*'],
  'repeated fields': ['{method} /a HTTP/1.1', HOST, 'Cookie: a=1', 'X-A: 1', 'Cookie: b=2', 'x-a: 2', 'X-A: 1'],
  'spaces and tabs around values': ['{method} /a HTTP/1.1', HOST, 'A:1', 'B:   2', 'C:\t3\t ', 'D: a  b'],
  'empty values': ['{method} /a HTTP/1.1', HOST, 'A:', 'B: ', 'Accept-Encoding:'],
  'bytes above ASCII in a value': ['{method} /a HTTP/1.1', HOST, 'X-Name: \xe9\xa0\xff\x80', 'X-Utf: \xc3\xa9'],
  'control characters in a value': ['{method} /a HTTP/1.1', HOST, 'X-A: a\x01b\x0bc\x7f'],
  'bytes above ASCII in the target': ['{method} /caf\xc3\xa9?q=\xff HTTP/1.1', HOST],
  'a target with every punctuation mark': ['{method} /a;b=c,d/%2F/..//.?x[]=1&y=\'"<>\\^`{|}#f HTTP/1.1', HOST],
  'an absolute target': ['{method} http://other.example.com/a?b HTTP/1.1', HOST],
  'an absolute target without a path': ['{method} https://[::1]:8000?a#b HTTP/1.1', HOST],
  'a path that looks like an absolute target': ['{method} //a/x:/b://c HTTP/1.1', HOST],
  'a target of 4,000 bytes': [`{method} /${'a'.repeat(4_000)} HTTP/1.1`, HOST],
  'a field of 8,000 bytes': ['{method} /a HTTP/1.1', HOST, `X-Long: ${'b'.repeat(8_000)}`],
  'a hundred fields': ['{method} /a HTTP/1.1', HOST, ...Array.from({ length: 99 }, (_, index) => `X-${index}: v`)],
  'a head of 800 KB': ['{method} /a HTTP/1.1', HOST, ...Array.from({ length: 100 }, () => `X: ${'c'.repeat(8_000)}`)],
  'no host': ['{method} /a HTTP/1.1', 'Accept: */*'],
  'two hosts': ['{method} /a HTTP/1.1', HOST, 'Host: other'],
  'no fields at all': ['{method} /a HTTP/1.1'],
  'names with every allowed character': [
    '{method} /a HTTP/1.1',
    HOST,
    "!#$%&'*+-.^_`|~09azAZ: 1",
    'X_Environment_Key: k',
  ],
  'forwarded fields of its own': [
    '{method} /a HTTP/1.1',
    HOST,
    'X-Forwarded-For: 1.2.3.4, 5.6.7.8',
    'X-Forwarded-Proto: https',
    'Forwarded: for=1.2.3.4',
    'Via: 1.1 a',
  ],
  'a connection to be kept': ['{method} /a HTTP/1.1', HOST, 'Connection: keep-alive', 'Keep-Alive: timeout=5'],
  'a connection to be closed': ['{method} /a HTTP/1.1', HOST, 'Connection: close', 'A: 1'],
  'several connection fields': [
    '{method} /a HTTP/1.1',
    'Connection: Keep-Alive',
    HOST,
    'connection: X-Hop',
    'X-Hop: 1',
  ],
  'a field for this hop only': [
    '{method} /a HTTP/1.1',
    HOST,
    'X-Hop: 1',
    'Connection: x-hop, close',
    'x-hOP: 2',
    'A: 1',
  ],
  'necessary fields named as for this hop': ['{method} /a HTTP/1.1', HOST, 'Connection: host, content-length'],
  'fields for the API named as for this hop': [
    '{method} /a HTTP/1.1',
    HOST,
    'Connection: X-Forwarded-For, Authorization, Cookie, X-Environment-Key',
    'X-Forwarded-For: 1.2.3.4',
    'Authorization: Token abc',
    'Cookie: a=1',
    'X-Environment-Key: key',
  ],
  'a proxy connection': ['{method} /a HTTP/1.1', HOST, 'Proxy-Connection: keep-alive', 'TE: gzip', 'A: 1'],
  'acceptance of trailers': ['{method} /a HTTP/1.1', HOST, 'TE: trailers', 'Connection: TE'],
  'an upgrade without connection option': ['{method} /a HTTP/1.1', HOST, 'Upgrade: websocket', 'A: 1'],
  'an upgrade that the API ignores': ['{method} /a HTTP/1.1', HOST, 'Upgrade: websocket', 'Connection: Upgrade'],
  'HTTP/1.0': ['{method} /a HTTP/1.0', HOST, 'A: 1'],
  'HTTP/1.0 without fields': ['{method} /a HTTP/1.0'],
  'HTTP/1.0 with a connection to be kept': ['{method} /a HTTP/1.0', 'Connection: keep-alive', HOST],
  'empty lines in front': ['\r\n\r\n{method} /a HTTP/1.1', HOST],
  'conditions and ranges': ['{method} /a HTTP/1.1', HOST, 'If-None-Match: "x"', 'Range: bytes=0-1', 'If-Range: "x"'],
  credentials: ['{method} /a HTTP/1.1', HOST, 'Authorization: Token abc', 'Proxy-Authorization: Basic x', 'Cookie: a'],
};

const heads: Case[] = ['GET', 'POST'].flatMap((method) =>
  Object.entries(HEADS).map(([shape, [first = '', ...lines]]) => ({
    name: `${method} with ${shape}`,
    request:
      head(first.replace('{method}', method), ...lines, ...(method === 'POST' ? ['Content-Length: 2'] : [])) +
      (method === 'POST' ? 'ab' : ''),
    response: OK,
  })),
);

heads.push({ name: 'OPTIONS of an asterisk', request: head('OPTIONS * HTTP/1.1', HOST), response: OK });

const EARLY_HINTS = head('HTTP/1.1 103 Early Hints', 'Link: </a>; rel=preload', 'link: </b>');

const RESPONSES: Readonly<Record<string, Pick<Case, 'response' | 'closes'>>> = {
  'an empty body': { response: head('HTTP/1.1 200 OK', 'Content-Length: 0') },
  'no content': { response: head('HTTP/1.1 204 No Content', 'Allow: GET') },
  'no content but a length': { response: head('HTTP/1.1 204 No Content', 'Content-Length: 0') },
  'not modified with a length': { response: head('HTTP/1.1 304 Not Modified', 'ETag: "x"', 'Content-Length: 100') },
  'a chunked body': {
    response: `${head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked')}5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n`,
  },
  'chunk extensions': {
    response: `${head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked')}5;a=b\r\nhello\r\n0;c\r\n\r\n`,
  },
  trailers: {
    response: `${head('HTTP/1.1 200 OK', 'Trailer: X-T', 'transfer-encoding: CHUNKED')}5\r\nhello\r\n0\r\nX-T: 1\r\nx-t: 2\r\n\r\n`,
  },
  'an empty chunked body': { response: `${head('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked')}0\r\n\r\n` },
  'a body until the end': { response: `${head('HTTP/1.1 200 OK', 'Content-Type: text/plain')}all of it`, closes: true },
  'a body until the end, announced': { response: `${head('HTTP/1.1 200 OK', 'Connection: close')}all`, closes: true },
  'an empty body until the end': { response: head('HTTP/1.1 200 OK'), closes: true },
  'a length and then the end': {
    response: `${head('HTTP/1.1 200 OK', 'Connection: close', 'Content-Length: 2')}ok`,
    closes: true,
  },
  'a body of 300,000 bytes': { response: `${head('HTTP/1.1 200 OK', 'Content-Length: 300000')}${'y'.repeat(300_000)}` },
  'HTTP/1.0': { response: `${head('HTTP/1.0 200 OK', 'Content-Length: 2')}ok`, closes: true },
  'HTTP/1.0 with a body until the end': { response: `${head('HTTP/1.0 200 OK')}ok`, closes: true },
  'repeated fields in odd order and case': {
    response: `${head('HTTP/1.1 200 OK', 'set-cookie: a=1', 'X-B: 1', 'Set-Cookie: b=2', 'x-b:2', 'content-length:   2', 'SET-COOKIE: c')}ok`,
  },
  'equal lengths twice': { response: `${head('HTTP/1.1 200 OK', 'Content-Length: 2', 'content-length: 2')}ok` },
  'bytes above ASCII': {
    response: `${head('HTTP/1.1 200 D\xe9j\xe0 vu', 'X-A: \xff\xfe', 'Content-Length: 3')}\x00\xff\x0a`,
  },
  'no reason': { response: `${head('HTTP/1.1 200 ', 'Content-Length: 2')}ok` },
  'no reason and no space': { response: `${head('HTTP/1.1 200', 'Content-Length: 2')}ok` },
  'an unknown status': { response: `${head('HTTP/1.1 799 Odd', 'Content-Length: 2')}ok` },
  'an error page': {
    response: `${head('HTTP/1.1 500 Internal Server Error', 'Connection: close', 'Content-Length: 4')}oops`,
    closes: true,
  },
  'a redirection': { response: head('HTTP/1.1 301 Moved Permanently', 'Location: /a/', 'Content-Length: 0') },
  'early hints': { response: `${EARLY_HINTS}${OK}` },
  'several interim responses': { response: `${head('HTTP/1.1 102 Processing')}${EARLY_HINTS}${EARLY_HINTS}${OK}` },
  'an upgrade required': {
    response: `${head('HTTP/1.1 426 Upgrade Required', 'Upgrade: HTTP/2.0', 'Connection: Upgrade', 'Content-Length: 2')}no`,
  },
  'fields for this hop': {
    response: `${head('HTTP/1.1 200 OK', 'Keep-Alive: timeout=2', 'Connection: keep-alive, X-Hop', 'X-Hop: 1', 'A: 1', 'Content-Length: 2')}ok`,
  },
  'a head of 60 KB': {
    response: `${head('HTTP/1.1 200 OK', ...Array.from({ length: 60 }, () => `X: ${'z'.repeat(1000)}`), 'Content-Length: 2')}ok`,
  },
};

const responses: Case[] = ['GET', 'POST', 'HEAD', 'HTTP/1.0 GET'].flatMap((method) =>
  Object.entries(RESPONSES).map(([shape, answer]) => {
    const version = method.startsWith('HTTP/1.0') ? '1.0' : '1.1';
    const bare = method.replace('HTTP/1.0 ', '');
    const closes = version === '1.0' || answer.closes === true;
    const request = head(`${bare} /a HTTP/${version}`, HOST, ...(bare === 'POST' ? ['Content-Length: 2'] : []));
    return {
      name: `${method} answered with ${shape}`,
      request: request + (bare === 'POST' ? 'ab' : ''),
      response: bare === 'HEAD' ? withoutBody(answer.response) : answer.response,
      closes,
    };
  }),
);

const CONTINUE = head('HTTP/1.1 100 Continue');

const expectations: Case[] = ['POST', 'PUT', 'PATCH'].flatMap((method) =>
  Object.entries(BODIES)
    .filter(([, [, bytes]]) => bytes.length > 0)
    .map(([body, [lines, bytes]]) => ({
      name: `${method} that waits to be told to go on, with ${body}`,
      request: head(`${method} /a HTTP/1.1`, HOST, 'Expect: 100-continue', ...lines) + bytes,
      response: OK,
      interim: CONTINUE,
    })),
);

/** All heads up to the final one, which is the last when bodies are left out. */
function withoutBody(response: string): string {
  const interim = /^(?:HTTP\/1\.1 1[\s\S]*?\r\n\r\n)*/.exec(response)?.[0] ?? '';
  return interim + response.slice(interim.length, response.indexOf('\r\n\r\n', interim.length) + 4);
}

/** Without a body some answers are the same. */
export const CASES: readonly Case[] = [
  ...new Map(
    [...bodies, ...heads, ...responses, ...expectations].map((one) => [JSON.stringify({ ...one, name: '' }), one]),
  ).values(),
];
