import fc from 'fast-check';

const EOL = weighted([40, '\r\n'], [1, '\n'], [1, '\r'], [1, '\r\r\n'], [1, '\n\r'], [1, '\r\n '], [1, ' \r\n']);

const FRAMING_LINE = fc.constantFrom(
  ...[
    'Content-Length: 5',
    'Content-Length: 0',
    'Content-Length: 30',
    'content-length:5',
    'Content-Length: 5 ',
    'Content-Length: 05',
  ],
  ...[
    'Content-Length : 5',
    ' Content-Length: 5',
    'Content-Length:',
    'Content-Length: +5',
    'Content-Length: -5',
    'Content-Length: 0x5',
  ],
  ...[
    'Content-Length: 5, 5',
    'Content-Length: 5,30',
    'Content-Length: 5 5',
    'Content-Length: 1e1',
    'Content-Length: 99999999999999999999',
  ],
  ...[
    'Content-Length\t: 5',
    'Content-Length\0: 5',
    'Content-Length: \x0b5',
    'Content-Length: 5\0',
    'Content_Length: 30',
    'Content-Length',
  ],
  ...[
    'Transfer-Encoding: chunked',
    'transfer-encoding:CHUNKED',
    'Transfer-Encoding:\tchunked',
    'Transfer-Encoding : chunked',
  ],
  ...[
    'Transfer-Encoding: identity',
    'Transfer-Encoding: xchunked',
    'Transfer-Encoding: chunked, identity',
    'Transfer-Encoding: gzip, chunked',
  ],
  ...[
    'Transfer-Encoding: chunked, chunked',
    'Transfer-Encoding: "chunked"',
    'Transfer-Encoding: chunked;q=1',
    'Transfer-Encoding:',
  ],
  ...[
    'Transfer-Encoding: \x0bchunked',
    'Transfer-Encoding\x0b: chunked',
    'Transfer-Encoding: chunked\0',
    'Transfer_Encoding: chunked',
  ],
  ...[
    'X: a\nTransfer-Encoding: chunked',
    'X: a\rTransfer-Encoding: chunked',
    'X: a\nContent-Length: 30',
    'X: a\n\nGET /hidden HTTP/1.1',
  ],
  ...[
    'Connection: content-length',
    'Connection: transfer-encoding',
    'Connection: close',
    'Connection: upgrade, HTTP2-Settings',
  ],
  ...[
    'SCRIPT_NAME: /x',
    'Transfer-Encoding: chunked,',
    'Transfer-Encoding: ,chunked',
    'Transfer-Encoding: chunked, ',
    'Content-Length: 5\t',
    'Content-Length: \xa05',
    'Content-Length\xad: 5',
    'Connection: close, Transfer-Encoding, Content-Length, Host',
    'Trailer: Content-Length',
    'TE: trailers, chunked',
    'Expect: 200-ok',
    'HTTP2-Settings: AAMAAABkAAQAAP__',
    'X: \x85\x1c\x0c',
    'Upgrade: h2c',
    'Upgrade: websocket',
    'HTTP2-Settings: x',
    'Expect: 100-continue',
    'Host: a',
    'Host: b',
    'X: y',
    '\tX: folded',
    ': empty',
    '',
  ],
);

const BODY = fc.constantFrom(
  ...[
    '',
    'hello',
    'hello world',
    '0\r\n\r\n',
    '5\r\nhello\r\n0\r\n\r\n',
    '5;a=b\r\nhello\r\n0\r\n\r\n',
    '5\r\nhello\r\n0\r\nX: y\r\n\r\n',
  ],
  ...[
    '5\nhello\n0\n\n',
    '5\r\nhello0\r\n\r\n',
    '5\r\nhelloX\r\n0\r\n\r\n',
    '5 \r\nhello\r\n0\r\n\r\n',
    ' 5\r\nhello\r\n0\r\n\r\n',
    '+5\r\nhello\r\n0\r\n\r\n',
  ],
  ...[
    '0x5\r\nhello\r\n0\r\n\r\n',
    '-1\r\n\r\n',
    'g\r\n\r\n',
    '\r\n\r\n',
    'ffffffffffffffff\r\nhello\r\n0\r\n\r\n',
    '100000005\r\nhello\r\n0\r\n\r\n',
  ],
  ...[
    '5;a\nb\r\nhello\r\n0\r\n\r\n',
    '5;\r\r\nhello\r\n0\r\n\r\n',
    '5\r\rhello\r\n0\r\n\r\n',
    '0\r\nX: a\n\n',
    '0\r\nX: a\r\r\n\r\n',
    '0\r\n X: y\r\n\r\n',
  ],
  ...[
    '0\r\nContent-Length: 30\r\n\r\n',
    '0\r\nTransfer-Encoding: chunked\r\n\r\n',
    '0\r\nScript_Name: /x\r\n\r\n',
    '0\r\nTransfer_Encoding: chunked\r\n\r\n',
    '5;a="\r\nhello\r\n0\r\n\r\n',
    '5\r\nhello\r\n00000000\r\n\r\n',
    '0\r\nno colon\r\n\r\n',
    '0\r\n: x\r\n\r\n',
    '0;\n\r\n\r\n',
    '0\n\r\n',
  ],
  ...[
    'GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n',
    '0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n',
    '5\r\nhello\r\n0\r\n\r\nPOST /hidden HTTP/1.1\r\n\r\n',
  ],
);

const MUTATION = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  remove: fc.integer({ min: 0, max: 3 }),
  insert: fc.constantFrom(
    '',
    '\r',
    '\n',
    '\r\n',
    ' ',
    '\t',
    ':',
    ';',
    ',',
    '\0',
    '\x0b',
    '\xa0',
    '0',
    '5',
    '-',
    'chunked',
    '\r\n\r\n',
  ),
});

/** An answer with any possible error in its length. */
export const AMBIGUOUS_RESPONSE: fc.Arbitrary<string> = fc
  .record({
    first: fc.constantFrom(
      ...['HTTP/1.1 200 OK', 'HTTP/1.1 204 No', 'HTTP/1.1 304 No', 'HTTP/1.1 100 Go', 'HTTP/1.1 101 S'],
      ...['HTTP/1.0 200 OK', 'HTTP/2 200', 'ICY'],
    ),
    lines: fc.array(fc.tuple(FRAMING_LINE, EOL), { maxLength: 3 }),
    eol: EOL,
    end: EOL,
    body: BODY,
    mutations: fc.array(MUTATION, { maxLength: 1 }),
  })
  .map(({ first, lines, eol, end, body, mutations }) =>
    mutations.reduce(mutate, `${first}${eol}${lines.map((line) => line.join('')).join('')}${end}${body}`),
  );

/** A request with any possible error in its length; `/n` identifies it. */
export const AMBIGUOUS_REQUEST: fc.Arbitrary<(n: number) => string> = fc
  .record({
    method: fc.constantFrom('GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'OPTIONS', 'CONNECT', 'P T'),
    prefix: fc.constantFrom('/', '/captured'),
    version: weighted([20, 'HTTP/1.1'], [3, 'HTTP/1.0'], [1, 'HTTP/1.2'], [1, 'HTTP/2.0'], [1, '']),
    lines: fc.array(fc.tuple(FRAMING_LINE, EOL), { maxLength: 4 }),
    eol: EOL,
    end: EOL,
    body: BODY,
    mutations: fc.array(MUTATION, { maxLength: 1 }),
  })
  .map(({ method, prefix, version, lines, eol, end, body, mutations }) => (n: number) => {
    const head = `${method} ${prefix}${n} ${version}${eol}${lines.map((line) => line.join('')).join('')}${end}`;
    return mutations.reduce(mutate, head + body);
  });

/** Where to cut a text, as fractions of the whole. */
export const CUTS = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 3 });

function mutate(text: string, { at, remove, insert }: { at: number; remove: number; insert: string }): string {
  const offset = Math.floor(at * text.length);
  return text.slice(0, offset) + insert + text.slice(offset + remove);
}

function weighted(...choices: readonly (readonly [weight: number, value: string])[]): fc.Arbitrary<string> {
  return fc.oneof(...choices.map(([weight, value]) => ({ weight, arbitrary: fc.constant(value) })));
}
