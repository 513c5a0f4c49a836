import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { wildJson } from '../testing.ts';
import { numberText, pythonText } from './json.ts';
import { runPython3 } from './testing.ts';

/** Characters beyond the first blocks that every Unicode table agrees about. */
const KNOWN = ['\u200b', '\u2028', '\u3000', '\ufeff', '\ud800', '😀'];

describe('numberText', () => {
  it.each([
    ['1', '1'],
    ['-0', '0'],
    ['-0.0', '-0.0'],
    ['1.0', '1.0'],
    ['1.50', '1.5'],
    ['1e5', '100000.0'],
    ['1E16', '1e+16'],
    ['1e999', 'inf'],
    ['123456789012345678901234567890', '123456789012345678901234567890'],
    ['9007199254740993', '9007199254740993'],
    ['9007199254740993.0', '9007199254740992.0'],
  ])('spells %s as %s', (source, text) => {
    expect(numberText(source)).toBe(text);
  });
});

describe('pythonText', () => {
  it.each([
    ['"a\'b"', "a'b"],
    ['["a\'b"]', '["a\'b"]'],
    ['["a\'\\"b"]', "['a\\'\"b']"],
    ['[true, false, null, 1.0]', '[True, False, None, 1.0]'],
    ['{"a": [], "b": {}}', "{'a': [], 'b': {}}"],
    ['["\\n\\u0000\\u00a0\\u200b\\\\é人"]', "['\\n\\x00\\xa0\\u200b\\\\é人']"],
    ['["\\ud800"]', "['\\ud800']"],
  ])('spells %s as %s', (json, text) => {
    expect(pythonText(json)).toBe(text);
  });

  it('agrees with Python about any JSON', () => {
    // Characters that Unicode has assigned since Python's tables were made are printable to only one of the two.
    const plain = wildJson.filter(
      (json) => ![...json].some((char) => (char.codePointAt(0) ?? 0) > 0x4ff && !KNOWN.includes(char)),
    );
    const texts = fc.sample(plain, 2000);
    const program = 'print(json.dumps([str(json.loads(v)) for v in values]))';
    const theirs = runPython3(program, texts);
    if (theirs !== undefined) expect(texts.map(pythonText)).toEqual(theirs);
  });
});
