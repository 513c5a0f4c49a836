import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonError, parseJson, renderJson } from './json.ts';
import { codePoints, repr, strip } from './value.ts';

describe('JSON as Python reads it', () => {
  it.each([
    ['2', 2n],
    ['2.0', 2],
    ['1e2', 100],
    ['-0', 0n],
    ['1e999', Infinity],
    ['123456789012345678901234567890', 123456789012345678901234567890n],
    ['"\\ud83d\\ude00"', '😀'],
    [' [1 , null] ', [1n, null]],
    [
      '{"b": 1, "1": 2, "b": 3}',
      new Map([
        ['b', 3n],
        ['1', 2n],
      ]),
    ],
  ])('parses %s as %s', (text, value) => {
    expect(parseJson(text)).toEqual(value);
  });

  it.each([
    '',
    'NaN',
    '-Infinity',
    '01',
    '1.',
    '.5',
    '[1,]',
    '{"a":1,}',
    '{1: 2}',
    '"a',
    '"\\x"',
    '"\n"',
    '[1] x',
    '\ufeff1',
    '1'.repeat(4301),
  ])('refuses %j', (text) => {
    expect(() => parseJson(text)).toThrow(JsonError);
  });

  it('reads everything that JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        expect(JSON.parse(renderJson(parseJson(JSON.stringify(value))))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});

describe('JSON as Python writes it', () => {
  it('keeps integers and floats apart, and the order of keys', () => {
    expect(renderJson(parseJson('{"b": [2, 2.0, 1e22, 1e-7], "1": {}}'))).toBe('{"b":[2,2.0,1e+22,1e-07],"1":{}}');
  });

  it('fails on values that JSON cannot represent', () => {
    expect(() => renderJson(Infinity)).toThrow(RangeError);
    expect(() => renderJson('\ud800')).toThrow(TypeError);
  });
});

describe('Python’s repr', () => {
  // As printed by Python 3.11.
  it.each([
    ['[1, 2.0, 1e16, 1e15, 0.0001, 0.00001, -0.0]', '[1, 2.0, 1e+16, 1000000000000000.0, 0.0001, 1e-05, -0.0]'],
    ['[true, null, 1e999]', '[True, None, inf]'],
    [`["it's", "say \\"hi\\"", "both ' and \\""]`, `["it's", 'say "hi"', 'both \\' and "']`],
    ['"\\u0000\\n\\t\\\\\\u00a0\\u200b\\u2028\\ud800é日😀"', `'\\x00\\n\\t\\\\\\xa0\\u200b\\u2028\\ud800é日😀'`],
    ['{"a": {"b": []}}', "{'a': {'b': []}}"],
  ])('of %s is %s', (json, printed) => {
    expect(repr(parseJson(json))).toBe(printed);
  });
});

describe('Python’s strip', () => {
  it('differs from JavaScript’s trim at separators, NEL and the byte order mark', () => {
    expect(strip('\x1c\x85\xa0\u3000 a b\t\n\x1f')).toBe('a b');
    expect(strip('\ufeffa\u200b')).toBe('\ufeffa\u200b');
  });

  it('counts code points', () => {
    expect(codePoints('a😀\ud800')).toBe(3);
  });
});
