import fc from 'fast-check';
import { type Case, VERSION } from '../case.ts';
import { formFields, keyFor } from './forms.ts';

const raw = (text: string) => {
  const bytes = text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return bytes.replaceAll('+', ' ');
};

const SPACES = [
  '',
  ' ',
  '\t',
  '\x0b',
  '\x0c',
  '\x1c',
  '\x1f',
  '\x85',
  '\xa0',
  '\xc2\x85',
  '\xc2\xa0',
  '\xe2\x80\xa8',
  '\0',
];
const space = fc.constantFrom(...Array.from({ length: 12 }, () => ' '), ...SPACES);

/** Spellings of a part's name in its `Content-Disposition`. */
const nameWriters: readonly ((name: string) => string)[] = [
  ...Array.from({ length: 12 }, () => (name: string) => `name="${name}"`),
  (name) => `name=${name}`,
  (name) => `NAME="${name}"`,
  (name) => `name='${name}'`,
  (name) => `name="${name.replaceAll(/(.)/g, '\\$1')}"`,
  (name) => `name=" ${name} "`,
  (name) => `name="\xa0${name}\x85"`,
  (name) => `name*=utf-8''${encodeURIComponent(name)}`,
  (name) => `name*=UTF-8'en'${encodeURIComponent(name)}`,
  (name) => `name*=latin-1''${encodeURIComponent(name)}`,
  (name) => `name*=utf-16''${[...name].map((char) => `%${char.charCodeAt(0).toString(16)}%00`).join('')}`,
  (name) => `name*=cp037''${encodeURIComponent(name)}`,
  (name) => `name*=x''${encodeURIComponent(name)}`,
  (name) => `name*="utf-8''${encodeURIComponent(name)}"`,
  (name) => `name*0="${name.slice(0, 3)}"; name*1="${name.slice(3)}"`,
  (name) => `name="x"; name="${name}"`,
  (name) => `name="${name}"; name*=utf-8''x`,
  (name) => `name=""; x="${name}"`,
  (name) => `name="${name}"; filename=""`,
  (name) => `name="${name}"; filename="f"`,
  (name) => `name="${name}"; filename*=utf-8''f`,
  (name) => `name="${name}"; filename=" "`,
  (name) => `name="${name}"; filename="."`,
  (name) => `name="${name}"; filename="a/"`,
  (name) => `name="${name}"; filename="&amp;"`,
  (name) => `filename=; name="${name}"`,
  (name) => `name="${name}`,
  (name) => `name=${name}"`,
  (name) => `name="${name}";`,
  (name) => `x="a;name=b"; name="${name}"`,
  (name) => `x="\\"; name="${name}"`,
];

const moreLines = fc.constantFrom(
  ...Array.from({ length: 30 }, () => ''),
  'Content-Type: text/plain\r\n',
  'Content-Type: text/plain; charset=utf-16\r\n',
  'Content-Type: application/json\r\n',
  'Content-Transfer-Encoding: base64\r\n',
  'Content-Transfer-Encoding: BASE64\r\n',
  'Content-Transfer-Encoding: base64; x=y\r\n',
  'Content-Transfer-Encoding: quoted-printable\r\n',
  'Content-Transfer-Encoding:\xa0base64\r\n',
  'Content-Length: 3\r\n',
  'X: \xff\r\n',
  '\xff\xfeX: y\r\n',
  '\xef\xbb\xbfX: y\r\n',
  ' folded: x\r\n',
  'no colon\r\n',
  ': x\r\n',
  `X: ${'y'.repeat(1100)}\r\n`,
  'Content-Disposition: form-data; name="other"\r\n',
  'content-disposition: attachment\r\n',
);
const lineName = fc.constantFrom(
  ...Array.from({ length: 50 }, () => 'Content-Disposition'),
  'content-disposition',
  'CONTENT-DISPOSITION',
  'Content-Disposition ',
  ' Content-Disposition',
  '\xef\xbb\xbfContent-Disposition',
  '\xffContent-Disposition',
  'Content_Disposition',
  'Content-Disposition:',
);
const kind = fc.constantFrom(
  ...Array.from({ length: 30 }, () => 'form-data'),
  'FORM-DATA',
  'attachment',
  '',
  'x',
  'form-data ',
);
const lineEnd = fc.constantFrom(...Array.from({ length: 30 }, () => '\r\n'), '\n', '\r', '\r\r\n', '\r\n ');

interface PartForm {
  readonly write: (name: string) => string;
  readonly gaps: readonly [string, string];
  readonly before: string;
  readonly behind: string;
  readonly lineName: string;
  readonly kind: string;
  readonly end: string;
}
const partForm: fc.Arbitrary<PartForm> = fc.record({
  write: fc.constantFrom(...nameWriters),
  gaps: fc.tuple(space, space),
  before: moreLines,
  behind: moreLines,
  lineName,
  kind,
  end: lineEnd,
});
const PLAIN: PartForm = {
  write: (name) => `name="${name}"`,
  gaps: [' ', ' '],
  before: '',
  behind: '',
  lineName: 'Content-Disposition',
  kind: 'form-data',
  end: '\r\n',
};

function renderPart(pair: string, form: PartForm, encode: (value: string) => string): string {
  const equals = pair.indexOf('=');
  const name = raw(equals === -1 ? pair : pair.slice(0, equals));
  const value = raw(equals === -1 ? '' : pair.slice(equals + 1));
  const { write, gaps, before, behind, kind: disposition, end } = form;
  const line = `${form.lineName}:${gaps[0]}${disposition};${gaps[1]}${write(name)}`;
  const isBase64 = /base64/i.test(before + behind);
  return `${before}${line}${end}${behind}\r\n${isBase64 ? encode(value) : value}`;
}

const base64 = fc.constantFrom<((value: string) => string)[]>(
  (value) => Buffer.from(value, 'latin1').toString('base64'),
  (value) => Buffer.from(value, 'latin1').toString('base64').replaceAll('=', ''),
  (value) => Buffer.from(value, 'latin1').toString('base64url'),
  (value) => `${Buffer.from(value, 'latin1').toString('base64')}=`,
  (value) => Buffer.from(value, 'latin1').toString('base64').replace(/(..)/, '$1\r\n'),
  (value) => Buffer.from(value, 'latin1').toString('base64').replace(/(..)/, '$1 !'),
  (value) => value,
);

const boundaries = fc.constantFrom<(readonly [parameter: string, used: string])[]>(
  ...Array.from({ length: 60 }, () => ['boundary=b', 'b'] as const),
  ['boundary="b"', 'b'],
  ['boundary="b b"', 'b b'],
  ['BOUNDARY=b', 'b'],
  ['boundary=x; boundary=b', 'b'],
  ['boundary=b; boundary=x', 'b'],
  ["boundary*=utf-8''b", 'b'],
  ['boundary=b ', 'b'],
  ['boundary= b', 'b'],
  ['boundary=', ''],
  ['boundary=\xe9', '\xe9'],
  ['boundary=b\xa0', 'b'],
  ['x="; boundary=c"; boundary=b', 'b'],
  [`boundary=${'b'.repeat(201)}`, 'b'.repeat(201)],
  ['boundary="b\\"c"', 'b"c'],
  ['boundary=b;charset=utf-16', 'b'],
  ['boundary=b;charset=latin-1', 'b'],
  ['boundary=b;charset=x', 'b'],
);

/** How the parts are put together. */
const assembly = fc.constantFrom<((parts: readonly string[], boundary: string) => string)[]>(
  ...Array.from({ length: 30 }, () => plainly),
  (parts, boundary) => plainly(parts, boundary).slice(2),
  (parts, boundary) => `preamble\r\n${plainly(parts, boundary)}`,
  (parts, boundary) => `${plainly(parts, boundary)}epilogue\r\n--${boundary}\r\n${parts[0] ?? ''}`,
  (parts, boundary) => plainly(parts, boundary).replace(`--${boundary}--`, ''),
  (parts, boundary) => plainly(parts, boundary).replaceAll('\r\n', '\n'),
  (parts, boundary) => plainly(parts, boundary).replaceAll(`--${boundary}\r\n`, `--${boundary} \t\r\n`),
  (parts, boundary) => plainly(parts, boundary).replaceAll(`--${boundary}\r\n`, `--${boundary}x\r\n`),
  (parts, boundary) => plainly(parts, boundary).replace(`--${boundary}\r\n`, `--${boundary}--\r\n`),
  (parts, boundary) => plainly(parts, boundary).replaceAll(`\r\n--${boundary}`, `--${boundary}`),
);

function plainly(parts: readonly string[], boundary: string): string {
  return `${parts.map((part) => `--${boundary}\r\n${part}\r\n`).join('')}--${boundary}--\r\n`;
}

export const multipartCases: fc.Arbitrary<Case> = fc
  .tuple(formFields, partForm, fc.nat(5), boundaries, assembly, base64)
  .map(([{ method, target, pairs }, form, odd, [parameter, boundary], assemble, encode]) => ({
    method,
    target,
    version: VERSION,
    fields: [keyFor(target), ['Content-Type', `multipart/form-data; ${parameter}`] as const],
    body: assemble(
      pairs.map((pair, index) => renderPart(pair, index === odd % pairs.length ? form : PLAIN, encode)),
      boundary,
    ),
    framing: 'length',
  }));
