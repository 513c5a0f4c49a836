import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createBody } from './body.ts';
import type { Framing } from './framing.ts';
import { FramingError } from './framing-error.ts';

/** Scans the bytes in pieces as they might arrive; returns the data and how many bytes belong to the body. */
function scanAll(
  framing: Framing,
  bytes: Buffer,
  cuts: readonly number[],
): { data: string; length: number; done: boolean } {
  const body = createBody(framing);
  const offsets = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  let data = '';
  let length = 0;
  for (const [index, offset] of offsets.slice(0, -1).entries()) {
    const piece = bytes.subarray(offset, offsets[index + 1]);
    if (body.done || piece.length === 0) continue;
    length += body.scan(piece, (found) => {
      data += found.toString('latin1');
    });
  }
  return { data, length, done: body.done };
}

const CUTS = fc.array(fc.nat(10_000), { maxLength: 10 });
const LATIN1 = fc.string({ unit: fc.nat(255).map((code) => String.fromCharCode(code)), maxLength: 60 });

describe('a body in chunks', () => {
  const chunk = fc.record({
    data: LATIN1.filter((data) => data !== ''),
    zeros: fc.constantFrom('', '0', '000'),
    upper: fc.boolean(),
    extension: fc.constantFrom('', ';a', ';a=b', ';a="b;c"', '; a = b'),
  });
  const trailers = fc.constantFrom('', 'X: 1\r\n', 'X:\r\ny: \xff\r\nX: 3\r\n');

  test('yields its data and ends where it ends, wherever it is cut', () => {
    fc.assert(
      fc.property(fc.array(chunk, { maxLength: 5 }), trailers, LATIN1, CUTS, (chunks, lines, behind, cuts) => {
        const text = chunks.map(({ data, zeros, upper, extension }) => {
          const size = data.length.toString(16);
          return `${zeros}${upper ? size.toUpperCase() : size}${extension}\r\n${data}\r\n`;
        });
        const whole = `${text.join('')}0\r\n${lines}\r\n`;
        const seen = scanAll({ kind: 'chunked' }, Buffer.from(whole + behind, 'latin1'), cuts);
        expect(seen).toEqual({ data: chunks.map(({ data }) => data).join(''), length: whole.length, done: true });
      }),
    );
  });

  test('is refused before a byte of a wrong line end is passed on, wherever it is cut', () => {
    const wrong = fc.constantFrom(
      '5\nhello\r\n0\r\n\r\n',
      '5\r\nhello\n0\r\n\r\n',
      '0\nX',
      '0\r\n\n',
      '0\r\nX: a\n',
      '0\r\nX: a\rb',
      '5;\n',
    );
    fc.assert(
      fc.property(wrong, CUTS, (text, cuts) => {
        expect(() => scanAll({ kind: 'chunked' }, Buffer.from(text), cuts)).toThrow(FramingError);
      }),
    );
  });
});

test('a body of known length ends where it ends', () => {
  fc.assert(
    fc.property(LATIN1, LATIN1, CUTS, (data, behind, cuts) => {
      fc.pre(data !== '');
      const seen = scanAll({ kind: 'length', length: data.length }, Buffer.from(data + behind, 'latin1'), cuts);
      expect(seen).toEqual({ data, length: data.length, done: true });
    }),
  );
});

test('no body is complete at once, and one that lasts until the end never is', () => {
  expect(createBody({ kind: 'none' }).done).toBe(true);
  expect(scanAll({ kind: 'untilClose' }, Buffer.from('hello'), [2])).toEqual({ data: 'hello', length: 5, done: false });
});
