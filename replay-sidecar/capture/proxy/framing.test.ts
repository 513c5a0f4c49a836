import { describe, expect, test } from 'vitest';
import { requestFraming, responseFraming } from './framing.ts';
import { FramingError } from './framing-error.ts';
import { parseRequest, parseResponse } from './head.ts';

const request = (...lines: string[]) => parseRequest(`${['POST /a HTTP/1.1', ...lines].join('\r\n')}\r\n\r\n`);
const response = (status: number, ...lines: string[]) =>
  parseResponse(`${[`HTTP/1.1 ${status} X`, ...lines].join('\r\n')}\r\n\r\n`);

describe('a request is as long as', () => {
  test.each([
    ['nothing says', [], { kind: 'none' }],
    ['its length says', ['Content-Length: 5'], { kind: 'length', length: 5 }],
    ['its length says, with zeros in front', ['content-length: 005'], { kind: 'length', length: 5 }],
    ['a length of zero says', ['Content-Length: 0'], { kind: 'none' }],
    ['the largest exact number says', ['Content-Length: 9007199254740991'], { kind: 'length', length: 2 ** 53 - 1 }],
    ['its chunks say', ['Transfer-Encoding: CHUNKED'], { kind: 'chunked' }],
  ])('%s', (_name, lines, framing) => {
    expect(requestFraming(request(...lines))).toEqual(framing);
  });
});

describe('a response is as long as', () => {
  test.each([
    ['its connection lives', 'GET', 200, [], { kind: 'untilClose' }],
    ['its length says', 'GET', 200, ['Content-Length: 5'], { kind: 'length', length: 5 }],
    ['its equal lengths say', 'GET', 200, ['Content-Length: 5', 'content-length: 5'], { kind: 'length', length: 5 }],
    ['its chunks say', 'GET', 200, ['Transfer-Encoding: chunked'], { kind: 'chunked' }],
    [
      'its connection lives when the coding is another',
      'GET',
      200,
      ['Transfer-Encoding: gzip'],
      { kind: 'untilClose' },
    ],
    ['nothing after HEAD', 'HEAD', 200, ['Content-Length: 5'], { kind: 'none' }],
    ['nothing when it says 204', 'GET', 204, ['Content-Length: 5'], { kind: 'none' }],
    ['nothing when it says 304', 'GET', 304, ['Transfer-Encoding: chunked'], { kind: 'none' }],
    ['nothing when it is an interim one', 'GET', 103, ['Content-Length: 5'], { kind: 'none' }],
  ])('%s', (_name, method, status, lines, framing) => {
    expect(responseFraming(method, response(status, ...lines))).toEqual(framing);
  });

  test.each([
    ['lengths that differ', ['Content-Length: 5', 'Content-Length: 6']],
    ['a length and chunks', ['Content-Length: 5', 'Transfer-Encoding: chunked']],
    ['chunks that only some would see', ['Transfer-Encoding: \x0bchunked']],
    ['chunks below another coding', ['Transfer-Encoding: chunked, gzip']],
  ])('no one can tell with %s', (_name, lines) => {
    expect(() => responseFraming('GET', response(200, ...lines))).toThrow(FramingError);
  });
});
