import fc from 'fast-check';
import type { Case } from '../case.ts';
import { anyBodyWrite, changed, oddText } from './writes.ts';

const TYPES = [
  ...[
    'application/json',
    'APPLICATION/JSON',
    'application/json;',
    'application/json ;x',
    ' application/json',
    'application/json, text/plain',
    'application/*',
    '*/*',
    '*',
    '*/json',
  ],
  ...[
    'application/json; indent=2',
    'application/json;charset',
    'application/json;charset=',
    'application/json; q="a;b"',
    'application/vnd.api+json',
    'application/problem+json',
    'text/json',
    'application/jsonx',
  ],
  ...[
    'application/x-www-form-urlencoded',
    'application/x-www-form-urlencoded; charset=utf-8',
    'APPLICATION/X-WWW-FORM-URLENCODED',
    'multipart/form-data',
    'multipart/form-data; boundary=b',
    'multipart/*; boundary=b',
    'multipart/mixed; boundary=b',
  ],
  ...[
    'text/plain',
    'application/xml',
    '',
    '/',
    'application',
    'application/',
    '/json',
    'application//json',
    'application/json/x',
    'application/\xa0json',
    '\xa0application/json',
    'application/json\xa0',
    'application/json\x85',
    'application\t/json',
  ],
];
const CODINGS = ['gzip', 'deflate', 'br', 'identity', 'chunked', 'x-gzip', 'aws-chunked'];

/** Bodies with a type that is wrong, missing or repeated. */
export const typeCases: fc.Arbitrary<Case> = fc
  .tuple(
    anyBodyWrite,
    fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...TYPES) }, { weight: 1, arbitrary: oddText.map(inLine) }),
    fc.constantFrom('replace', 'replace', 'replace', 'before', 'behind', 'drop', 'coding'),
    fc.constantFrom(...CODINGS),
  )
  .map(([one, type, how, coding]) => {
    const others = one.fields.filter(([name]) => name !== 'Content-Type');
    const own = one.fields.filter(([name]) => name === 'Content-Type');
    const added = ['Content-Type', type] as const;
    if (how === 'drop') return changed(one, { fields: others });
    if (how === 'coding') return changed(one, { fields: [...one.fields, ['Content-Encoding', coding]] });
    if (how === 'replace') return changed(one, { fields: [...others, added] });
    return changed(one, { fields: how === 'before' ? [...others, added, ...own] : [...others, ...own, added] });
  });

function inLine(text: string): string {
  return `application/json${text.replace(/[\0\r\n]/g, '')}`;
}
