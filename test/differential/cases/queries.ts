import fc from 'fast-check';
import { type Case, KEY, request, TOKEN } from '../case.ts';
import { changed, oddText } from './writes.ts';

const name = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.constantFrom('identifier', 'transient', 'anyIdentity', 'deleteAllMatchingTraits', 'feature', 'x'),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'identifie%72',
      'identifier%00',
      'Identifier',
      '%20identifier',
      'identifier+',
      'trans%69ent',
      'identifier[]',
      '',
    ),
  },
);
const value = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      'ann',
      '',
      'true',
      'True',
      'false',
      '0',
      '1',
      'ben',
      'a+b',
      'a%2Bb',
      '%20',
      '+',
      '%C3%A9',
      '%E9',
      '\xe9',
      '\xc3\xa9',
    ),
  },
  { weight: 2, arbitrary: oddText },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '%ED%A0%80',
      '%F0%9F%98%80',
      '%C0%80',
      '%C3%A9%',
      '%u0061',
      '%EF%BB%BF',
      '\xef\xbb\xbf',
      '%C3\xa9',
      '\xc3%A9',
      'a%0Ab',
      '%1C',
      '%C2%85',
      '%00',
      'x'.repeat(2001),
      '%20'.repeat(3),
    ),
  },
);
const pair = fc.tuple(name, fc.constantFrom('=', '=', '=', '=', '', '==', '%3D'), value).map((parts) => parts.join(''));
const query = fc
  .tuple(
    fc.array(pair, { minLength: 1, maxLength: 3 }),
    fc.constantFrom('&', '&', '&', '&', ';', '&&', '?', '&amp;', '%26', '#'),
  )
  .map(([pairs, separator]) => pairs.join(separator));

const STATE = '/api/v1/environments/client-key/featurestates/9001/';
const BASES = [
  request('GET /api/v1/identities/', [KEY]),
  request('GET /api/v1/identities/', [KEY]),
  request('HEAD /api/v1/identities/', [KEY]),
  request('GET /api/v1/identities/ann/', [KEY]),
  request('DELETE /api/v1/environments/client-key/identities/1001/traits/5001/', [TOKEN]),
  request(`DELETE ${STATE}`, [TOKEN]),
  request(`PUT ${STATE}`, [TOKEN, ['Content-Type', 'application/json']], '{"identity":1002}'),
];

/** Query strings, for routes where they decide what is written. */
export const queryCases: fc.Arbitrary<Case> = fc
  .tuple(fc.constantFrom(...BASES), query, fc.constantFrom('?', '?', '?', '?', '??', '?&', '#?'))
  .map(([one, text, mark]) => changed(one, { target: inLine(`${one.target}${mark}${text}`) }));

function inLine(text: string): string {
  return text.replace(/[\0\r\n ]/g, '_');
}

/** Any character as a part of the path; Python's `\w` decides whether it is an identifier. */
const character = fc.oneof(
  fc.integer({ min: 0x80, max: 0x2fff }),
  fc.integer({ min: 0x80, max: 0xd7ff }),
  fc.integer({ min: 0x10000, max: 0x1ffff }),
  fc.constantFrom(
    0xaa,
    0xb2,
    0xb5,
    0xb7,
    0xbc,
    0x300,
    0x345,
    0x660,
    0x903,
    0x200d,
    0x203f,
    0x2118,
    0x2460,
    0x24b6,
    0x3007,
    0x4e00,
    0x1f110,
    0x1d7d8,
    0xe0100,
  ),
);
const segment = fc
  .tuple(
    fc.constantFrom('', 'ann', '-', '.', '%25', '@', '_'),
    fc.array(character, { maxLength: 2 }),
    fc.constantFrom('', 'x', '.', '%20', '%2F', '%00', '%0A', '~', '+', ':', '%FF', '\xe9'),
    fc.boolean(),
  )
  .map(([front, points, end, raw]) => {
    const text = points.map((point) => String.fromCodePoint(point)).join('');
    return (
      front +
      (raw
        ? Buffer.from(text)
            .toString('latin1')
            .replace(/[\0- \x7f]/g, '')
        : encodeURIComponent(text)) +
      end
    );
  });

export const pathCases: fc.Arbitrary<Case> = fc
  .tuple(segment, segment, fc.constantFrom('identity', 'identity', 'flags', 'trait', 'trait', 'deeper', 'noSlash'))
  .map(([one, other, shape]) => {
    const fields = [KEY, ['Content-Type', 'application/json']] as const;
    const at = `/api/v1/identities/${one}`;
    if (shape === 'flags') return request(`GET /api/v1/flags/${one}`, fields);
    if (shape === 'trait') return request(`POST ${at}/traits/${other}`, fields, '{"trait_value":1}');
    if (shape === 'deeper') return request(`GET ${at}/${other}`, fields);
    return request(`GET ${at}${shape === 'noSlash' ? '' : '/'}`, fields);
  })
  .map((one) => ({ ...one, body: one.body === '' ? '' : '{"trait_value":1}' }));
