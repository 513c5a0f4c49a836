import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { runPython3 } from './testing.ts';
import { floatText, idFromNumber, idFromText, storable, strip } from './text.ts';

describe('strip', () => {
  it.each([
    ['\u00a0\u3000alice\u2007', 'alice'],
    ['\u001c\u001d\u001e\u001f\u0085alice', 'alice'],
    ['\u200balice\ufeff', '\u200balice\ufeff'],
    ['\t\n\v\f\r ', ''],
    ['a b', 'a b'],
  ])('turns %j into %j', (text, stripped) => {
    expect(strip(text)).toBe(stripped);
  });

  it('agrees with Python about every character of the basic plane', () => {
    const texts = Array.from(
      { length: 0x10000 },
      (_, unit) => `${String.fromCharCode(unit)}x${String.fromCharCode(unit)}`,
    );
    const theirs = runPython3('print(json.dumps([v.strip() for v in values]))', texts);
    if (theirs !== undefined) expect(texts.map(strip)).toEqual(theirs);
  });

  it('is linear in blanks that do not end a text', () => {
    const text = `x${' '.repeat(5_000_000)}x`;
    expect(strip(text)).toBe(text);
  });
});

describe('floatText', () => {
  it.each([
    [1, '1.0'],
    [1e16, '1e+16'],
    [1e15, '1000000000000000.0'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [-1.5e-7, '-1.5e-07'],
    [1.2345e22, '1.2345e+22'],
    [-0, '-0.0'],
    [5e-324, '5e-324'],
    [Infinity, 'inf'],
    [-Infinity, '-inf'],
    [Number.NaN, 'nan'],
  ])('spells %d as %s', (value, text) => {
    expect(floatText(value)).toBe(text);
  });

  it('agrees with Python about floats', () => {
    const anyDouble = fc.double({ noNaN: true, noDefaultInfinity: true });
    const short = fc.tuple(fc.integer({ min: -9999, max: 9999 }), fc.integer({ min: -25, max: 25 }));
    const values = fc.sample(
      fc.oneof(
        anyDouble,
        short.map(([digits, power]) => digits * 10 ** power),
      ),
      5000,
    );
    const theirs = runPython3(
      'print(json.dumps([str(float(v)) for v in values]))',
      values.map((value) => value.toString()),
    );
    // Through text, JSON keeps no negative zero: Python gets `0`.
    if (theirs !== undefined) expect(values.map((value) => floatText(value + 0))).toEqual(theirs);
  });
});

describe('ids', () => {
  it('are read from text as Python reads an int, as far as a column holds it', () => {
    const texts = [
      '7',
      ' 7\n',
      '+7',
      '07',
      '1_000',
      '-7',
      '0',
      '2147483647',
      '2147483648',
      '1e3',
      '7.0',
      '',
      '1__0',
      '_1',
      'x',
    ];
    expect(texts.map(idFromText)).toEqual([
      7,
      7,
      7,
      7,
      1000,
      undefined,
      undefined,
      2147483647,
      ...Array.from({ length: 7 }, () => undefined),
    ]);
  });

  it('drop a fraction', () => {
    expect([7.9, 0.9, -1, 2 ** 31, Number.NaN].map(idFromNumber)).toEqual([
      7,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('storable', () => {
  it('counts code points', () => {
    expect(storable('😀'.repeat(3), 3)).toBe('😀'.repeat(3));
    expect(storable('😀'.repeat(4), 3)).toBeUndefined();
  });

  it('drops blanks beyond the limit, and only blanks', () => {
    expect(storable('abc  ', 3)).toBe('abc');
    expect(storable('abc \u00a0', 3)).toBeUndefined();
    expect(storable('ab ', 3)).toBe('ab ');
  });

  it('rejects NUL and lone surrogates', () => {
    expect(storable('a\0', 9)).toBeUndefined();
    expect(storable('a\ud800', 9)).toBeUndefined();
  });

  it('is never longer than the column', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 30 }), fc.nat(12), (text, limit) => {
        const stored = storable(text, limit);
        if (stored === undefined) return;
        expect([...stored].length).toBeLessThanOrEqual(limit);
        expect(text.startsWith(stored)).toBe(true);
      }),
    );
  });
});
