import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { runPython3 } from '../python/python3.ts';
import { charsetOf, UTF8 } from './charset.ts';
import { parseQueryDict } from './query.ts';

const PARSE = `
from urllib.parse import parse_qsl
def parse(hexed):
    raw = bytes.fromhex(hexed)
    try:
        text = raw.decode('utf-8')
    except UnicodeDecodeError:
        text = raw.decode('iso-8859-1')
    result = {}
    for key, value in parse_qsl(text, keep_blank_values=True, encoding='utf-8'):
        result.setdefault(key, []).append(value)
    return sorted(result.items())
print(json.dumps([parse(v) for v in values]))`;

const parse = (bytes: Buffer) => [...parseQueryDict(bytes, UTF8)];

describe('parseQueryDict', () => {
  it('keeps all values of a name, blank ones too', () => {
    expect(parse(Buffer.from('a=1&b&a=&&=x&a+b=c%26d%3D'))).toEqual([
      ['a', ['1', '']],
      ['b', ['']],
      ['', ['x']],
      ['a b', ['c&d=']],
    ]);
  });

  it('decodes escapes in the request encoding', () => {
    const latin1 = charsetOf('latin-1');
    expect(latin1 && [...parseQueryDict(Buffer.from('a=%E9\u00e9', 'latin1'), latin1)]).toEqual([['a', ['éé']]]);
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
    const texts = fc.sample(fc.array(fc.oneof(escaped, { weight: 2, arbitrary: literal }), { maxLength: 10 }), 3000);
    const bodies = texts.map((parts) => Buffer.from(parts.join(''), 'latin1'));
    const theirs = runPython3(
      PARSE,
      bodies.map((body) => body.toString('hex')),
    );
    const ours = bodies.map((body) =>
      parse(body).sort(([one], [other]) => (codePoints(one) < codePoints(other) ? -1 : 1)),
    );
    if (theirs !== undefined) expect(ours).toEqual(theirs);
  });
});

/** Python sorts by code points, JavaScript by UTF-16 units. */
function codePoints(text: string): string {
  return [...text].map((char) => (char.codePointAt(0) ?? 0).toString(16).padStart(6, '0')).join('');
}
