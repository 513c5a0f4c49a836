import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { UnreadableError } from '../http/unreadable.ts';
import { wildJson } from '../testing.ts';
import { JsonScanner, JsonSyntaxError, KIND, type Tape } from './json-scanner.ts';
import { runPython3 } from './testing.ts';

function scan(text: string, slice = Number.POSITIVE_INFINITY): Tape {
  const scanner = new JsonScanner(Buffer.from(text));
  while (!scanner.advance(slice));
  return scanner.tape;
}

/** The document rebuilt from the recorded values, as far as they go. */
function rebuild(text: string): unknown {
  const bytes = Buffer.from(text);
  const tape = scan(text);
  const field = (index: number, offset: number): number => tape[4 * index + offset] ?? 0;
  const json = (index: number): string => bytes.toString('utf8', field(index, 1), field(index, 2));
  const children = function* (index: number): Generator<number> {
    for (let child = index + 1; child < field(index, 3); child = field(child, 3)) yield child;
  };
  const value = (index: number, depth: number): unknown => {
    if (depth === 3) return JSON.parse(json(index));
    if (field(index, 0) === KIND.array) return [...children(index)].map((child) => value(child, depth + 1));
    if (field(index, 0) !== KIND.object) return JSON.parse(json(index));
    const [keys, values] = [[...children(index)], [] as [string, unknown][]];
    for (let at = 0; at < keys.length; at += 2) {
      values.push([JSON.parse(json(keys[at] ?? 0)) as string, value(keys[at + 1] ?? 0, depth + 1)]);
    }
    return Object.fromEntries(values);
  };
  return value(0, 0);
}

function accepts(text: string): boolean {
  try {
    scan(text);
    return true;
  } catch (error) {
    if (error instanceof JsonSyntaxError) return false;
    throw error;
  }
}

describe('JsonScanner', () => {
  it.each([
    '',
    ' ',
    '[',
    '[1',
    '{"a"',
    '{"a":',
    '{"a":1',
    '"a',
    '"\\',
    '"\\u00',
    '-',
    '1.',
    '1e',
    '1e+',
    'tru',
    '[1,]',
    '{,}',
  ])('does not accept %j as a document', (text) => {
    expect(() => scan(text)).toThrow(JsonSyntaxError);
  });

  it.each([
    'NaN',
    '[Infinity]',
    '-Infinity',
    '01',
    '[1]]',
    '\ufeff{}',
    '"\t"',
    '"\\x"',
    "{'a':1}",
    '{"a":1 "b":2}',
    '1 2',
  ])('refuses %j', (text) => {
    expect(() => scan(text)).toThrow(JsonSyntaxError);
  });

  it('accepts what Python accepts, except NaN and Infinity', () => {
    const insert = fc.constantFrom(
      '',
      ',',
      '"',
      '}',
      ']',
      '0',
      '.',
      'e',
      ' ',
      '\n',
      '\\',
      '\u0001',
      '-',
      '\ufeff',
      ':',
      'é',
      'NaN',
    );
    const broken = fc
      .tuple(wildJson, fc.nat(), insert)
      .map(([text, at, extra]) => text.slice(0, at % (text.length + 1)) + extra + text.slice(at % (text.length + 1)));
    const texts = fc.sample(broken, 4000).map((text) => text.toWellFormed());
    const program = `
def refuse(constant):
    raise ValueError(constant)
def accepts(text):
    try:
        json.loads(text, parse_constant=refuse)
        return True
    except ValueError:
        return False
print(json.dumps([accepts(v) for v in values]))`;
    const theirs = runPython3(program, texts) as boolean[] | undefined;
    theirs?.forEach((expected, index) => {
      const text = texts[index] ?? '';
      expect([text, accepts(text)]).toEqual([text, expected]);
    });
  });

  it('finds every value in its place', () => {
    fc.assert(
      fc.property(wildJson, (json) => {
        const text = json.toWellFormed();
        expect(rebuild(text)).toEqual(JSON.parse(text));
      }),
      { numRuns: 2000 },
    );
  });

  it('finds the same regardless of the slices in which it reads', () => {
    fc.assert(
      fc.property(wildJson, fc.integer({ min: 1, max: 9 }), (json, slice) => {
        expect(scan(json.toWellFormed(), slice)).toEqual(scan(json.toWellFormed()));
      }),
    );
  });

  it('records nothing deeper than Core looks, but still reads it', () => {
    expect(scan(`{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`)).toHaveLength(4 * 5);
    expect(() => scan(`[[[[[1 2]]]]]`)).toThrow(JsonSyntaxError);
  });

  it.each([
    ['levels', '['.repeat(200_000)],
    ['values', `[${'1,'.repeat(200_000)}1]`],
    ['members', `{${'"a":1,'.repeat(100_000)}"a":1}`],
  ])('does not read too many %s', (_, text) => {
    expect(() => scan(text)).toThrow(UnreadableError);
  });
});
