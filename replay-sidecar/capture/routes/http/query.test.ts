import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { runPython3 } from '../python/testing.ts';
import { charsetOf, UTF8 } from './charset.ts';
import { parseFormFields } from './query.ts';
import { UnreadableError } from './unreadable.ts';

const PARSE = `
from urllib.parse import parse_qsl
def parse(label, hexed):
    raw = bytes.fromhex(hexed)
    try:
        text = raw.decode(label)
    except UnicodeDecodeError:
        text = raw.decode('iso-8859-1')
    result = {}
    for key, value in parse_qsl(text, keep_blank_values=True, encoding=label):
        result[key] = value
    return list(result.items())
print(json.dumps([parse(*v) for v in values]))`;

const parse = (bytes: Buffer, label = 'utf-8') =>
  [...parseFormFields(bytes, charsetOf(label) ?? UTF8)].map(([name, value]) => [name, value.text]);

describe('parseFormFields', () => {
  it('keeps the last value of a name, and blank ones', () => {
    expect(parse(Buffer.from('a=1&b&a=&&=x&a+b=c%26d%3D'))).toEqual([
      ['a', ''],
      ['b', ''],
      ['', 'x'],
      ['a b', 'c&d='],
    ]);
  });

  it('decodes escapes in the request encoding', () => {
    expect(parse(Buffer.from('a=%E9\u00e9', 'latin1'), 'latin-1')).toEqual([['a', 'éé']]);
  });

  it.each([
    ['fields', 'a&'.repeat(1_001)],
    ['bytes in a name', `${'a'.repeat(3000)}=1`],
    ['bytes in a value', `a=${'b'.repeat(100_000)}`],
    ['escapes', Array.from({ length: 1000 }, (_, n) => `a${n}${'%41b'.repeat(11)}`).join('&')],
  ])('does not read too many %s', (_, text) => {
    expect(() => parse(Buffer.from(text))).toThrow(UnreadableError);
  });

  it('agrees with Python about any bytes', () => {
    const escaped = fc.nat(255).map((byte) => `%${byte.toString(16).padStart(2, '0')}`);
    const literal = fc.constantFrom(
      'a',
      'b',
      '=',
      '&',
      '+',
      '%',
      '%4',
      ';',
      '\u00e9',
      '\u00c3\u00a9',
      '\u00ff',
      '%C3',
      '%A9',
    );
    const texts = fc.sample(fc.array(fc.oneof(escaped, { weight: 2, arbitrary: literal }), { maxLength: 10 }), 1000);
    const cases = ['utf-8', 'latin-1', 'ascii', 'utf-16', 'utf-16-be'].flatMap((label) =>
      texts.map((parts) => ({ label, body: Buffer.from(parts.join(''), 'latin1') })),
    );
    const theirs = runPython3(
      PARSE,
      cases.map(({ label, body }) => [label, body.toString('hex')]),
    );
    if (theirs !== undefined) expect(cases.map(({ label, body }) => parse(body, label))).toEqual(theirs);
  });
});
