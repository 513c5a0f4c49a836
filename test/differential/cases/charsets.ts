import fc from 'fast-check';
import { type Case, KEY, VERSION } from '../case.ts';

/** Names of Python's codecs and their aliases, and other programs' names for the same. */
const LABELS = [
  ...[
    'utf-8',
    'utf8',
    'UTF-8',
    'u8',
    'utf',
    'utf8_ucs2',
    'utf8_ucs4',
    'cp65001',
    'utf-8-sig',
    'utf_8_sig',
    'unicode-1-1-utf-8',
  ],
  ...['utf-7', 'utf7', 'u7', 'utf!7', 'utf 7', 'unicode-1-1-utf-7', 'utf_7'],
  ...[
    'utf-16',
    'utf16',
    'u16',
    'utf-16le',
    'utf-16-le',
    'utf-16be',
    'unicodelittleunmarked',
    'unicodebigunmarked',
    'ucs-2',
    'ucs2',
    'unicode',
    'iso-10646-ucs-2',
  ],
  ...['utf-32', 'u32', 'utf-32le', 'utf-32-be', 'ucs-4'],
  ...[
    'latin-1',
    'latin1',
    'iso-8859-1',
    'iso8859-1',
    '8859',
    'cp819',
    'l1',
    'latin',
    'iso_8859_1_1987',
    'iso-8859-1-i',
    'l_1',
  ],
  ...['ascii', 'us-ascii', 'us', '646', 'iso646-us', 'ansi_x3.4-1968', 'ansi_x3_4_1986', 'cp367', 'csascii'],
  ...[
    'cp1252',
    'windows-1252',
    'windows_1252',
    '1252',
    'x-cp1252',
    'iso-8859-15',
    'latin9',
    'l9',
    'cp437',
    '437',
    'ibm437',
    'cspc8codepage437',
    'cp850',
    'mac_roman',
    'macintosh',
    'koi8-r',
    'cp866',
  ],
  ...['cp037', 'ebcdic-cp-us', 'ibm039', 'cp500', 'cp1026', 'cp1140', 'cp273', 'cp424', 'cp875'],
  ...[
    'shift_jis',
    'sjis',
    'ms_kanji',
    'cp932',
    'ms932',
    'euc-jp',
    'eucjp',
    'ujis',
    'gbk',
    'gb2312',
    'gb18030',
    'big5',
    'big5-hkscs',
    'euc-kr',
    'johab',
    'hz',
    'hz-gb-2312',
    'iso-2022-jp',
    'iso2022kr',
  ],
  ...['unicode_escape', 'raw_unicode_escape', 'unicode-escape', 'idna', 'punycode', 'undefined', 'mbcs', 'oem'],
  ...[
    'base64',
    'hex',
    'rot13',
    'zlib',
    'bz2',
    'uu',
    'quopri',
    'string-escape',
    'unicode_internal',
    'charmap',
    'palmos',
    'ptcp154',
    'tis-620',
    'viscii',
    'x-user-defined',
    'replacement',
  ],
  ...[
    '',
    ' ',
    'none',
    'x',
    'utf\u00008',
    '../utf8',
    'encodings',
    'aliases',
    'utf.8',
    'utf-8;',
    '"utf-8"',
    "utf-8'",
    'utf--8',
    '_utf_8',
    'utf-8-',
  ],
];

const label = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...LABELS) },
  {
    weight: 2,
    // Python treats anything but letters, digits and dots as one separator.
    arbitrary: fc
      .tuple(fc.constantFrom(...LABELS), fc.constantFrom('!', '  ', '_', '-', '.', '/', '\xa0', '\x85', '@', '--'))
      .map(([name, separator]) => name.replace(/[-_ ]/g, separator)),
  },
  { weight: 1, arbitrary: fc.constantFrom(...LABELS).map((name) => name.toUpperCase()) },
);

const utf16 = (text: string, bigEndian = false) => {
  const bytes = Buffer.from(text, 'utf16le');
  return (bigEndian ? bytes.swap16() : bytes).toString('latin1');
};
const utf32 = (text: string) =>
  [...text]
    .map((char) => `${String.fromCharCode((char.codePointAt(0) ?? 0) & 0xff, (char.codePointAt(0) ?? 0) >> 8)}\0\0`)
    .join('');
const EBCDIC = new Map([
  ...pairs('abcdefghi', 0x81),
  ...pairs('jklmnopqr', 0x91),
  ...pairs('stuvwxyz', 0xa2),
  ...pairs('0123456789', 0xf0),
  ...([
    ['{', 0xc0],
    ['}', 0xd0],
    ['[', 0xba],
    [']', 0xbb],
    ['"', 0x7f],
    [':', 0x7a],
    [',', 0x6b],
    ['_', 0x6d],
    ['=', 0x7e],
    ['&', 0x50],
    ['.', 0x4b],
    [' ', 0x40],
  ] as const),
]);
function pairs(text: string, from: number): (readonly [string, number])[] {
  return [...text].map((char, index) => [char, from + index] as const);
}

/** Ways to encode text as bytes, possibly different from the label. */
const ENCODERS: readonly ((text: string) => string)[] = [
  (text) => Buffer.from(text).toString('latin1'),
  (text) => `\xef\xbb\xbf${Buffer.from(text).toString('latin1')}`,
  (text) => text.replace(/[^\0-\xff]/g, '?'),
  (text) => utf16(text),
  (text) => utf16(text, true),
  (text) => `\xff\xfe${utf16(text)}`,
  (text) => `\xfe\xff${utf16(text, true)}`,
  (text) => `\xff\xfe\0\0${utf32(text)}`,
  (text) => utf32(text),
  (text) => [...text].map((char) => String.fromCharCode(EBCDIC.get(char) ?? 0x6f)).join(''),
  // UTF-7 and escapes: ASCII bytes with another meaning.
  (text) => text.replace('ann', '+AGEAbgBu-'),
  (text) => text.replaceAll('"', '+ACI-'),
  (text) => text.replace('ann', '\\u0061nn').replace('plan', '\\x70lan'),
  (text) => text.replace('ann', '~{ann~}'),
  (text) => text.replace('ann', '\x1b$B$"\x1b(B'),
];

const names = fc.constantFrom('ann', 'né', 'ä', '人', '\u0085x', '€', 'a\\b', 'a~b', '\ufeffz', 'ı');

type Shape = (name: string) => Pick<Case, 'method' | 'target' | 'body'> & { type: string };
const json = (name: string) => `{"identifier":"${name}","traits":[{"trait_key":"plan","trait_value":1}]}`;
const shapes: readonly Shape[] = [
  (name) => ({ method: 'POST', target: '/api/v1/identities/', body: json(name), type: 'application/json' }),
  (name) => ({
    method: 'POST',
    target: '/api/v1/identities/',
    body: `identifier=${name}`,
    type: 'application/x-www-form-urlencoded',
  }),
  (name) => ({
    method: 'POST',
    target: '/api/v1/identities/',
    body: `identifier=${encodeURIComponent(name)}`,
    type: 'application/x-www-form-urlencoded',
  }),
  (name) => ({
    method: 'POST',
    target: '/api/v1/identities/',
    body: `--b\r\nContent-Disposition: form-data; name="identifier"\r\n\r\n${name}\r\n--b--\r\n`,
    type: 'multipart/form-data; boundary=b',
  }),
  (name) => ({
    method: 'POST',
    target: '/api/v1/traits/',
    body: `{"identity":{"identifier":"${name}"},"trait_key":"plan","trait_value":1}`,
    type: 'application/json',
  }),
  (name) => ({
    method: 'PUT',
    target: '/api/v1/traits/bulk/',
    body: `[{"identity":{"identifier":"${name}"},"trait_key":"plan"}]`,
    type: 'application/json',
  }),
];

/** A body whose type names one charset, written in that one or another. */
const bodies = fc
  .tuple(
    fc.constantFrom(...shapes),
    names,
    label,
    fc.constantFrom(...ENCODERS),
    fc.constantFrom('charset=', 'charset="', 'CHARSET=', "charset*=utf-8''"),
  )
  .map(([shape, name, charset, encode, parameter]): Case => {
    const { type, body, ...head } = shape(name);
    const close = parameter.endsWith('"') ? '"' : '';
    const fields = [KEY, ['Content-Type', clean(`${type}; ${parameter}${charset}${close}`)] as const];
    return { ...head, version: VERSION, fields, body: encode(body), framing: 'length' };
  });

const QUERY_NAMES = ['ann', 'n\xe9', '\xc3\xa9', 'a+b', 'a%2Bb', '%E4%BA%BA', '%FF', '\x85x', 'a\\u0062'];

/** A query string that a charset decodes, raw or escaped. */
const queries = fc
  .tuple(fc.constantFrom(...QUERY_NAMES), label, fc.constantFrom(...ENCODERS), fc.boolean())
  .map(([name, charset, encode, escaped]): Case => {
    const raw = encode(`identifier=${name}`);
    const percent = (text: string) =>
      [...text]
        .map((char) => (/[a-z0-9=]/.test(char) ? char : `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`))
        .join('');
    const query = escaped ? percent(raw) : raw.replace(/[\0-\x20#\x7f]/g, (char) => percent(char));
    const fields = [KEY, ['Content-Type', clean(`application/json; charset=${charset}`)] as const];
    return {
      method: 'GET',
      target: `/api/v1/identities/?${query}`,
      version: VERSION,
      fields,
      body: '',
      framing: 'none',
    };
  });

/** Control characters end a line, which would make it a case of framing. */
function clean(value: string): string {
  return value.replace(/[\0\r\n]/g, '').replace(/[^\0-\xff]/g, '');
}

export const charsetCases: fc.Arbitrary<Case> = fc.oneof(
  { weight: 3, arbitrary: bodies },
  { weight: 1, arbitrary: queries },
);
