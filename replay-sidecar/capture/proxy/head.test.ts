import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FramingError } from './framing-error.ts';
import { findHeadEnd, parseRequest, parseResponse } from './head.ts';

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

test('a request keeps its bytes; values lose spaces and tabs around them, and nothing else', () => {
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
