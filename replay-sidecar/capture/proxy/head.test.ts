import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FramingError } from './framing-error.ts';
import { elementsOf, findHeadEnd, parseRequest, parseResponse } from './head.ts';

test('the end of a head is found wherever it is cut', () => {
  const text = 'GET /a HTTP/1.1\r\nA: 1\r\nB: \r\n\r\nrest';
  fc.assert(
    fc.property(fc.array(fc.nat(text.length), { maxLength: 6 }), (cuts) => {
      let scanned = 0;
      for (const length of [...cuts.sort((a, b) => a - b), text.length]) {
        const end = findHeadEnd(Buffer.from(text.slice(0, length)), scanned);
        expect(end).toBe(length < text.length - 4 ? -1 : text.length - 4);
        if (end >= 0) return;
        scanned = length;
      }
    }),
  );
});

test('a line feed alone is refused at once, wherever it is cut', () => {
  fc.assert(
    fc.property(fc.nat(20), (cut) => {
      const bytes = Buffer.from('GET /a HTTP/1.1\r\nA: 1\n');
      expect(findHeadEnd(bytes.subarray(0, cut), 0)).toBe(-1);
      expect(() => findHeadEnd(bytes, cut)).toThrow(FramingError);
    }),
  );
});

test('a request keeps its bytes, and its values lose only the spaces and tabs around them', () => {
  const text = 'GET /\xff?a=%00 HTTP/1.0\r\nX-A: \t a b\xa0 \t\r\nx-a:\r\nC:\x0bd\x0b\r\n\r\n';
  const request = parseRequest(text);
  expect(request).toMatchObject({ text, method: 'GET', target: '/\xff?a=%00', version: '1.0' });
  expect(request.fields.map(({ name, lower, value }) => [name, lower, value])).toEqual([
    ['X-A', 'x-a', 'a b\xa0'],
    ['x-a', 'x-a', ''],
    ['C', 'c', '\x0bd\x0b'],
  ]);
  expect(request.fields.map(({ start, end }) => text.slice(start, end)).join('')).toBe(
    text.slice(request.fieldsStart, -2),
  );
});

test.each([
  ['HTTP/1.1 200 OK', 200],
  ['HTTP/1.0 404 ', 404],
  ['HTTP/1.1 799', 799],
  ['HTTP/1.1 200 D\xe9j\xe0 vu', 200],
])('a response begins with %j', (line, status) => {
  expect(parseResponse(`${line}\r\n\r\n`).status).toBe(status);
});

test.each([
  'HTTP/2 200 OK',
  'HTTP/1.1 20 OK',
  'HTTP/1.1  200 OK',
  'HTTP/1.1 200OK',
  'ICY 200 OK',
  'HTTP/1.1 099 X',
  '',
])('a response does not begin with %j', (line) => {
  expect(() => parseResponse(`${line}\r\n\r\n`)).toThrow(FramingError);
});

test.each([
  [
    'a thousand fields',
    `GET / HTTP/1.1\r\n${'a:\r\n'.repeat(1_000)}\r\n`,
    `GET / HTTP/1.1\r\n${'a:\r\n'.repeat(1_001)}\r\n`,
  ],
  ['64 KB of target', `GET /${'a'.repeat(65_535)} HTTP/1.1\r\n\r\n`, `GET /${'a'.repeat(65_536)} HTTP/1.1\r\n\r\n`],
])('%s are accepted, and no more', (_, taken, refused) => {
  expect(parseRequest(taken).text).toBe(taken);
  expect(() => parseRequest(refused)).toThrow(new FramingError('headTooLarge'));
});

test('a list has the elements of all its lines, up to a hundred', () => {
  const fieldsOf = (lines: readonly string[]) => parseRequest(`GET / HTTP/1.1\r\n${lines.join('')}\r\n`).fields;
  expect(elementsOf(fieldsOf(['Connection: Close, x\r\n', 'A: b\r\n', 'connection:y\r\n']), 'connection')).toEqual([
    'close',
    'x',
    'y',
  ]);
  const long = (count: number) => fieldsOf(Array.from({ length: 4 }, () => `Connection: ${'a,'.repeat(count)}\r\n`));
  expect(elementsOf(long(24), 'connection')).toHaveLength(100);
  expect(() => elementsOf(long(25), 'connection')).toThrow(FramingError);
});
