import fc from 'fast-check';
import { type Case, FORM_TYPE, JSON_TYPE, KEY, TOKEN } from '../case.ts';
import { anyWrite, changed, seldom } from './writes.ts';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
const SUFFIXES = ['.json', '.json/', '.api', '.api/', '.xml', '.html', '.JSON', ''];
const KEYS = ['client-key', 'other-key', 'ser.key', 'ser.other', 'SER.key', 'no-such-key', ''];
const ACCEPTS = ['text/html', 'application/json', 'application/xml', '*/*', 'text/html;q=0.9, */*;q=0.1', ''];
const QUERIES = [
  'format=json',
  'format=api',
  'format=xml',
  'feature=x',
  'identifier=b',
  'anyIdentity',
  'anyIdentity=',
  'transient=',
  'transient=false',
  'deleteAllMatchingTraits=true',
  'deleteAllMatchingTraits=TRUE',
  'x',
];
const SWAPS: readonly (readonly [string, string])[] = [
  ['client-key', 'other-key'],
  ['client-key', 'ser.key'],
  ['client-key', 'client%2Dkey'],
  ['1001', '1002'],
  ['1001', '01001'],
  ['1001', '1_001'],
  ['1001', '%D9%A1001'],
  ['1001', '%201001%20'],
  ['1001', '1001%0A'],
  ['9001', '9100'],
  ['9001', '9003'],
  ['5001', '5003'],
  ['/21/', '/021/'],
  ['/21/', '/%0921/'],
  ['/101/', '/0101/'],
  ['/41', '/041'],
  ['/me/', '/7/'],
  ['/me/', '/007/'],
];

function withSuffix(target: string, suffix: string): string {
  const [path = '', ...query] = target.split('?');
  return [path.replace(/\/$/, '') + suffix, ...query].join('?');
}

function withQuery(target: string, query: string): string {
  return `${target}${target.includes('?') ? '&' : '?'}${query}`;
}

/** Every route with other methods, suffixes, credentials, ids and queries. */
export const routeCases: fc.Arbitrary<Case> = fc
  .record({
    one: anyWrite,
    method: seldom(fc.constantFrom(...METHODS)),
    suffix: seldom(fc.constantFrom(...SUFFIXES)),
    key: seldom(fc.constantFrom(...KEYS)),
    accept: seldom(fc.constantFrom(...ACCEPTS)),
    query: seldom(fc.constantFrom(...QUERIES)),
    swap: seldom(fc.constantFrom(...SWAPS)),
    type: seldom(fc.constantFrom(JSON_TYPE, FORM_TYPE)),
    both: fc.boolean(),
  })
  .map(({ one, method, suffix, key, accept, query, swap, type, both }) => {
    let { target, fields } = one;
    if (swap !== undefined) target = target.replace(...swap);
    if (suffix !== undefined) target = withSuffix(target, suffix);
    if (query !== undefined) target = withQuery(target, query);
    if (key !== undefined) fields = fields.map(([name, value]) => [name, name === KEY[0] ? key : value] as const);
    if (both) fields = [...fields, ...[KEY, TOKEN].filter(([name]) => fields.every(([other]) => other !== name))];
    if (type !== undefined) fields = [...fields.filter(([name]) => name !== type[0]), type];
    if (accept !== undefined) fields = [...fields, ['Accept', accept]];
    return changed(one, { target, fields, method: method ?? one.method });
  });
