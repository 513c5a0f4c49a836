import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { wildJson } from '../testing.ts';
import { JsonNumber, numberText, parseExactJson, pythonText } from './json.ts';
import { runPython3 } from './python3.ts';

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
    expect(numberText(new JsonNumber(source))).toBe(text);
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
    expect(pythonText(parseExactJson(json))).toBe(text);
  });

  it('agrees with Python about any JSON', () => {
    // Object keys that look like integers change their order in JavaScript; characters that Unicode has assigned since
    // Python's tables were made are printable to one and not to the other.
    const plain = wildJson.filter(
      (json) =>
        !/"\d+":/.test(json) && ![...json].some((char) => (char.codePointAt(0) ?? 0) > 0x4ff && !KNOWN.includes(char)),
    );
    const texts = fc.sample(plain, 2000);
    const program = 'print(json.dumps([str(json.loads(v)) for v in values]))';
    const theirs = runPython3(program, texts);
    if (theirs !== undefined) expect(texts.map((text) => pythonText(parseExactJson(text)))).toEqual(theirs);
  });
});

describe('JSON.parse', () => {
  it('accepts what Python accepts, NaN and Infinity excepted, and lets the last of duplicate keys win', () => {
    const broken = fc
      .tuple(
        wildJson,
        fc.nat(),
        fc.constantFrom('', ',', '"', '}', '0', '.', 'e', ' ', '\n', '\\', '\u0001', '-', '\ufeff'),
      )
      .map(([text, at, insert]) => text.slice(0, at % (text.length + 1)) + insert + text.slice(at % (text.length + 1)));
    const twice = fc.tuple(wildJson, wildJson).map(([one, two]) => `{"a": ${one}, "b": 1, "a": ${two}}`);
    const texts = fc.sample(fc.oneof(broken, twice), 3000);
    const program = `
def refuse(constant):
    raise ValueError(constant)
def load(text):
    try:
        return json.dumps(json.loads(text, parse_constant=refuse), sort_keys=True).replace("Infinity", "1e999")
    except ValueError:
        return None
print(json.dumps([load(v) for v in values]))`;
    const theirs = runPython3(program, texts) as (string | null)[] | undefined;
    theirs?.forEach((expected, index) => {
      const text = texts[index] ?? '';
      const ours = parsed(text);
      if (expected === null) expect([text, ours]).toEqual([text, undefined]);
      else expect([text, ours]).toEqual([text, parsed(expected)]);
    });
  });
});

function parsed(text: string): { value: unknown } | undefined {
  try {
    // Python has no negative zero among its integers.
    return { value: JSON.parse(text, (_key, value: unknown) => (value === 0 ? 0 : value)) as unknown };
  } catch {
    return undefined;
  }
}
