import fc from 'fast-check';
import type { Case } from '../case.ts';
import { anyWrite, changed } from './writes.ts';

const CODINGS = [
  'chunked',
  'Chunked',
  'chunked ',
  'gzip, chunked',
  'chunked, gzip',
  'identity',
  'chunked, chunked',
  '"chunked"',
  'chunked;x',
  ' chunked',
  'x',
  '',
  '\x0bchunked',
  'chunked\t',
];
const LENGTHS = [
  '0',
  '1',
  '+5',
  '-1',
  '0x5',
  ' 5',
  '5 ',
  '5, 5',
  '5,6',
  '00005',
  '1e1',
  '5.0',
  '',
  '٥',
  '99999',
  '4294967296',
  '18446744073709551617',
];
const VERSIONS = [
  'HTTP/1.0',
  'HTTP/1.1',
  'HTTP/0.9',
  'HTTP/2.0',
  'HTTP/1.2',
  'http/1.1',
  'HTTP/1.10',
  'HTTP/1',
  'HTTP/01.1',
  '',
];

const chunked = (one: Case, spell: (size: string) => string, end = '0\r\n\r\n') =>
  one.body === '' ? end : `${spell(one.body.length.toString(16))}\r\n${one.body}\r\n${end}`;

/** One way to contradict where the body ends. */
const framing: fc.Arbitrary<(one: Case) => Case> = fc.oneof(
  fc.constant((one: Case) => changed(one, { framing: 'chunked' as const })),
  fc.constant((one: Case) => changed(one, { framing: 'none' as const })),
  fc.constantFrom(...VERSIONS).map((version) => (one: Case) => changed(one, { version })),
  fc.constantFrom(...LENGTHS).map((length) => (one: Case) => {
    return changed(one, { framing: 'none', fields: [...one.fields, ['Content-Length', length]] });
  }),
  fc
    .constantFrom(...LENGTHS)
    .map((length) => (one: Case) => changed(one, { fields: [...one.fields, ['Content-Length', length]] })),
  fc.constantFrom(...CODINGS).map((coding) => (one: Case) => {
    const body = chunked(one, (size) => size);
    return changed(one, { framing: 'none', body, fields: [...one.fields, ['Transfer-Encoding', coding]] });
  }),
  fc
    .constantFrom(...CODINGS)
    .map((coding) => (one: Case) => changed(one, { fields: [...one.fields, ['Transfer-Encoding', coding]] })),
  fc
    .constantFrom<((size: string) => string)[]>(
      (size) => `${size};x=y`,
      (size) => `${size} ;x`,
      (size) => `0${size}`,
      (size) => `0x${size}`,
      (size) => `${size.toUpperCase()} `,
      (size) => `${size}\n`,
      (size) => `+${size}`,
      (size) => `${'0'.repeat(20)}${size}`,
    )
    .map((spell) => (one: Case) => {
      return changed(one, {
        framing: 'none',
        body: chunked(one, spell),
        fields: [...one.fields, ['Transfer-Encoding', 'chunked']],
      });
    }),
  fc
    .constantFrom(
      '0\r\nX-Environment-Key: other-key\r\n\r\n',
      '0\r\nSCRIPT_NAME: /x\r\n\r\n',
      '0\r\nContent-Length: 5\r\n\r\n',
      '0\r\n',
      '',
      '0\r\n\r\nGET / HTTP/1.1\r\n\r\n',
    )
    .map((end) => (one: Case) => {
      return changed(one, {
        framing: 'none',
        body: chunked(one, (size) => size, end),
        fields: [...one.fields, ['Transfer-Encoding', 'chunked']],
      });
    }),
  // Fewer bytes than announced, or more, possibly another request.
  fc.nat(5).map((less) => (one: Case) => {
    const announced = one.body.length + less;
    return changed(one, { framing: 'none', fields: [...one.fields, ['Content-Length', String(announced)]] });
  }),
  anyWrite.map((second) => (one: Case) => {
    const lines = [
      `${second.method} ${second.target} HTTP/1.1`,
      'Host: flags.example',
      ...second.fields.map((field) => field.join(': ')),
    ];
    const more = `${lines.join('\r\n')}\r\nContent-Length: ${second.body.length}\r\n\r\n${second.body}`;
    const length = ['Content-Length', String(one.body.length)] as const;
    return changed(one, { framing: 'none', body: one.body + more, fields: [...one.fields, length] });
  }),
  fc.constantFrom('keep-alive', 'close, te', 'upgrade').map((option) => (one: Case) => {
    return changed(one, { fields: [...one.fields, ['Connection', `close, ${option}`]] });
  }),
  fc.constantFrom('100-continue', '100-Continue', '200-ok', '').map((expect) => (one: Case) => {
    return changed(one, { fields: [...one.fields, ['Expect', expect]] });
  }),
  fc.constantFrom('a: b\r\n c', 'x\ry', 'x\ny: z', '\0', 'x'.repeat(9000)).map((value) => (one: Case) => {
    return changed(one, { fields: [...one.fields, ['X-Odd', value]] });
  }),
);

export const framingCases: fc.Arbitrary<Case> = fc.tuple(anyWrite, framing).map(([one, frame]) => frame(one));
