import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { runPython3 } from '../python/testing.ts';
import { charsetOf } from './charset.ts';

/** For each label and bytes: codec, `strict`, `lenient` and `stream`, all of them null where Python raises. */
const DECODE = `
import codecs, io
def attempt(decode):
    try:
        return decode()
    except ValueError:
        return None
def read(label, hexed):
    raw = bytes.fromhex(hexed)
    return [
        codecs.lookup(label).name,
        attempt(lambda: raw.decode(label)),
        raw.decode(label, 'replace'),
        attempt(lambda: codecs.getreader(label)(io.BytesIO(raw)).read()),
    ]
print(json.dumps([read(label, hexed) for label, hexed in values]))`;

/** Everything that Python knows as a codec: aliases and modules. */
const LABELS = `
import encodings, encodings.aliases, os, codecs
modules = [name[:-3] for name in os.listdir(os.path.dirname(encodings.__file__)) if name.endswith('.py')]
labels = sorted(set(encodings.aliases.aliases) | set(modules) | set(values))
def codec(label):
    try:
        return codecs.lookup(label).name
    except (LookupError, ValueError):
        return None
def spellings(label):
    yield from (label, label.upper(), label.replace('_', '-'), label.replace('_', ' '), label.replace('_', '.'))
    yield from (label.replace('_', '!+'), '_' + label + '-', label.replace('_', ''), label.replace('.', '_'), label + '.')
found = {spelling: codec(spelling) for label in labels for spelling in spellings(label)}
print(json.dumps(sorted(found.items())))`;

const EXACT: readonly (string | null)[] = ['utf-8', 'ascii', 'iso8859-1', 'utf-16', 'utf-16-le', 'utf-16-be'];

const ODD_BYTES = [
  '', '00', '61', '6100', '0061', '80', 'c3', 'c3a9', 'c328', 'e282', 'e28261', 'eda0', 'eda080', 'ed9f', 'f09f98', 'f09f9880',
  'f490', 'f48f', 'c0', 'c080', 'f5', 'ff', 'fe', 'fffe', 'feff', 'fffe6100', 'feff0061', 'efbbbf61', '3dd8', '3dd800de', '00de',
  '3dd861', '3dd86100', '61003dd8', '61003dd861', 'fffe3dd8', 'feffd83d', 'feffd83dde00', 'feffde00', '00de3dd861',
]; // biome-ignore format: a table of bytes

describe('charsetOf', () => {
  it('knows every label of Python for UTF-8, ASCII, Latin-1 and UTF-16, and no other', () => {
    const wild = [
      'utf!7',
      'unicode-1-1-utf-7',
      'cp437',
      'ucs-2',
      'unicode',
      'utf8mb4',
      'x',
      'windows-1252',
      'utf-8-sig',
    ];
    const theirs = runPython3(LABELS, wild) as [string, string | null][] | undefined;
    for (const [label, codec] of theirs ?? []) {
      expect([label, charsetOf(label) !== undefined]).toEqual([label, EXACT.includes(codec)]);
    }
  });

  it.each(['utf!7', 'unicode-1-1-utf-7', 'cp437', 'ucs-2', 'unicode', 'windows-1252', 'utf-8-sig', 'utf8mb4', '', 'é'])(
    'treats %j as unreadable',
    (label) => {
      expect(charsetOf(label)).toBeUndefined();
    },
  );

  it('decodes any bytes as Python does', () => {
    const labels = ['utf-8', 'ascii', 'latin-1', 'utf-16', 'utf-16-le', 'utf-16-be'];
    const piece = fc.constantFrom(...ODD_BYTES.filter((hexed) => hexed !== ''));
    const wild = fc.sample(fc.array(piece, { maxLength: 4 }), 1000).map((pieces) => pieces.join(''));
    const cases = labels.flatMap((label) => [...ODD_BYTES, ...wild].map((hexed) => [label, hexed] as const));
    const theirs = runPython3(DECODE, cases) as unknown[][] | undefined;
    theirs?.forEach(([, strict, lenient, stream], index) => {
      const [label, hexed] = cases[index] ?? ['', ''];
      const charset = charsetOf(label);
      const bytes = Buffer.from(hexed, 'hex');
      const ours = [charset?.strict(bytes), charset?.lenient(bytes), charset?.stream(bytes)?.toString()];
      expect([label, hexed, ...ours.map((text) => text ?? null)]).toEqual([
        label,
        hexed,
        strict,
        lenient,
        streamed(label, hexed, stream),
      ]);
    });
  });
});

/** Where Python finds no byte order mark it reads nothing or raises; neither is JSON. */
function streamed(label: string, hexed: string, text: unknown): unknown {
  return label === 'utf-16' && !/^(?:fffe|feff)/.test(hexed) ? null : text;
}
