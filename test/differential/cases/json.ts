import fc from 'fast-check';
import { type Case, JSON_TYPE, KEY, TOKEN, VERSION } from '../case.ts';

const words = (text: string) => text.split(' ');
const blank = fc.constantFrom('', '', '', ' ', '\n', '\t', '\r\n', '\x0b', '\x0c', '\xa0', '\ufeff', '/**/', '//\n');

/** Mostly valid JSON: a single error, and nothing is written at all. */
function seldom<T>(good: fc.Arbitrary<T>, odd: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight: 30, arbitrary: good }, { weight: 1, arbitrary: odd });
}

const SPACED = [' ann ', '\u00a0ann\u3000', '\u200bann', '\ufeffann', '\u0085ann\u001c'.replace('\u001c', '\\u001c')];
const LONG = ['x'.repeat(201), `${'x'.repeat(2000)} `, 'x'.repeat(2001), '人'.repeat(200), '😀'.repeat(1001)];
const ESCAPED = words(
  '\\u0061nn \\ud83d\\ude00 \\ud83d \\ude00x \\u0000 a\\u0000b \\/ \\n \\u0130 \\u0085 \\u200b \\"',
);
const strings = seldom(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.constantFrom('ann', 'ben', 'a/b', '人', '😀', 'true', '1', 'a\x7fb', 'a\u2028b', "a'b"),
    },
    { weight: 1, arbitrary: fc.constantFrom(...SPACED, ...LONG, ...ESCAPED) },
    {
      weight: 1,
      arbitrary: fc.string({ unit: 'grapheme', maxLength: 5 }).map((text) => JSON.stringify(text).slice(1, -1)),
    },
  ),
  fc.constantFrom('\\x61', '\\u00e', '\\U0061', 'a\\\nb', 'a\tb', 'a\nb', 'a\x01b', 'a\x00b', '\\'),
).map((text) => `"${text}"`);

const numbers = seldom(
  fc.constantFrom(
    ...words(
      '0 -0 1 -1 1.0 1.50 1e3 1E+16 1e15 1e16 1e-5 0.0001 1e400 -1e400 1e-400 0.1 5e-324 1.7976931348623157e308',
    ),
    ...words('12345678901234567890 9007199254740993 9007199254740993.0 100000000000000000000000.0 1001 101 2147483648'),
    '9'.repeat(400),
    `${'9'.repeat(400)}.0`,
  ),
  fc.constantFrom(...words('00 01 +1 .5 5. 0x1 1_000 1e --1 1n NaN Infinity -Infinity nan -NaN'), '9'.repeat(4301)),
);
const literals = seldom(
  fc.constantFrom('null', 'true', 'false', '""', '[]', '{}', '[null]', '{"id":1001}'),
  fc.constantFrom('True', 'None', 'undefined', "'ann'", '"'),
);

const { value } = fc.letrec<{ value: string; list: string; object: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    strings,
    numbers,
    literals,
    tie('list'),
    tie('object'),
  ),
  list: fc.array(tie('value'), { maxLength: 3 }).map((items) => `[${items.join(',')}]`),
  object: fc.array(fc.tuple(strings, tie('value')), { maxLength: 3 }).map(objectText),
}));

function objectText(members: readonly (readonly [string, string])[]): string {
  return `{${members.map(([name, content]) => `${name}:${content}`).join(',')}}`;
}

/** A member's name in one of its spellings, or a near miss. */
const named = (name: string) =>
  fc.oneof(
    { weight: 30, arbitrary: fc.constant(`"${name}"`) },
    { weight: 1, arbitrary: fc.constant(`"\\u${name.charCodeAt(0).toString(16).padStart(4, '0')}${name.slice(1)}"`) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        `"${name.toUpperCase()}"`,
        `"${name} "`,
        `"${name}\\u0000"`,
        '"__proto__"',
        '"constructor"',
        name,
      ),
    },
  );

const member = (name: string, content: fc.Arbitrary<string>) => fc.tuple(named(name), content);

/** An object with these members, some of them twice, missing, or among others. */
function objectOf(fields: Readonly<Record<string, fc.Arbitrary<string>>>): fc.Arbitrary<string> {
  const members = Object.entries(fields).map(([name, content]) => member(name, content));
  return fc
    .tuple(
      fc.tuple(...members),
      fc.array(fc.oneof(...members, fc.tuple(strings, value)), { maxLength: 2 }),
      fc.option(fc.nat(), { freq: 30, nil: undefined }),
      fc.boolean(),
    )
    .map(([all, more, dropped, front]) => {
      const kept = dropped === undefined ? all : all.filter((_, index) => index !== dropped % all.length);
      return objectText(front ? [...more, ...kept] : [...kept, ...more]);
    });
}

const mostly = (good: fc.Arbitrary<string>, odd: fc.Arbitrary<string>) =>
  fc.oneof({ weight: 15, arbitrary: good }, { weight: 1, arbitrary: odd });

const identifier = mostly(strings, value);
const key = mostly(fc.constantFrom('"plan"', '"age"', '"new"'), value);
const content = fc.oneof(fc.constantFrom('1', '"gold"', 'null', 'true', '1.5'), value);
const transient = fc.oneof(
  fc.constantFrom(
    'false',
    'true',
    '0',
    '1',
    '"false"',
    '"true"',
    '"on"',
    '"off"',
    '"t"',
    '"Yes"',
    '"y"',
    'null',
    '1.0',
    '0.0',
    '"1"',
    '""',
    '" true"',
    '[]',
  ),
  value,
);
const trait = objectOf({ trait_key: key, trait_value: content });
const fullTrait = objectOf({ trait_key: key, trait_value: content, transient });
const list = (item: fc.Arbitrary<string>) =>
  mostly(
    fc.array(mostly(item, value), { maxLength: 3 }).map((items) => `[${items.join(',')}]`),
    value,
  );
const nested = objectOf({ identifier });
const id = mostly(
  fc.constantFrom(
    '101',
    '102',
    '1001',
    '1002',
    '41',
    '"101"',
    '"1002"',
    '" 1001"',
    '1001.0',
    '1001.9',
    '"1_001"',
    '"\\u0661001"',
    '"+1001"',
    'true',
    '""',
    'null',
  ),
  value,
);
const bulkItem = objectOf({ identity: mostly(nested, value), trait_key: key, trait_value: content });

const ENVIRONMENT = '/api/v1/environments/client-key';
const ALICE = `${ENVIRONMENT}/identities/1001`;
/** The body that each route reads. */
const shapes: readonly (readonly [line: string, body: fc.Arbitrary<string>])[] = [
  ['POST /api/v1/identities/', objectOf({ identifier, traits: list(trait) })],
  ['POST /api/v1/identities/', objectOf({ identifier, transient, traits: list(fullTrait) })],
  ['POST /api/v1/traits/', objectOf({ identity: mostly(nested, value), trait_key: key, trait_value: content })],
  ['PUT /api/v1/traits/bulk/', list(bulkItem)],
  [
    'POST /api/v1/traits/increment-value/',
    objectOf({ identifier, trait_key: key, increment_by: fc.oneof(numbers, value) }),
  ],
  ['POST /api/v1/identities/ann/traits/plan', objectOf({ trait_value: content })],
  [`POST ${ENVIRONMENT}/identities/`, objectOf({ identifier })],
  [`PUT ${ALICE}/`, objectOf({ identifier })],
  [`PATCH ${ALICE}/`, objectOf({ identifier })],
  [`POST ${ALICE}/traits/`, objectOf({ trait_key: key, string_value: content })],
  [`PATCH ${ALICE}/traits/5001/`, objectOf({ trait_key: key })],
  [`POST ${ENVIRONMENT}/delete-traits/`, objectOf({ key })],
  [`POST ${ALICE}/featurestates/`, objectOf({ feature: id, enabled: transient })],
  [
    `POST ${ALICE}/featurestates/`,
    objectOf({ feature: id, identifier: fc.constantFrom('"bob"', '" bob"', '""', 'null') }),
  ],
  [`PUT ${ALICE}/featurestates/9001/`, objectOf({ feature: id, identity: id })],
  [`POST ${ALICE}/featurestates/clone-from-given-identity/`, objectOf({ source_identity_id: id })],
  ['POST /api/v1/features/featurestates/', objectOf({ feature: id, environment: id, identity: id })],
  [
    'POST /api/v1/features/featurestates/',
    objectOf({ feature: id, environment: id, identifier: fc.constantFrom('"alice"', '"bob "') }),
  ],
  ['PUT /api/v1/features/featurestates/9100/', objectOf({ feature: id, environment: id, identity: id })],
  ['PATCH /api/v1/features/featurestates/9001/', objectOf({ feature: id, identity: id })],
  [`PUT ${ENVIRONMENT}/featurestates/9001/?anyIdentity=1`, objectOf({ feature: id, identity: id })],
  [`PUT ${ENVIRONMENT}/featurestates/9100/`, objectOf({ feature: id, identity: id })],
  [`PATCH ${ENVIRONMENT}/`, objectOf({ api_key: mostly(strings, value), name: strings })],
  ['PATCH /api/v1/projects/21/features/101/', objectOf({ type: strings, name: strings })],
  ['DELETE /api/v1/auth/users/me/', objectOf({ delete_orphan_organisations: transient })],
];

const wrapped = (body: fc.Arbitrary<string>) =>
  fc.oneof(
    { weight: 25, arbitrary: body },
    { weight: 1, arbitrary: fc.tuple(blank, body, blank).map((parts) => parts.join('')) },
    { weight: 1, arbitrary: body.map((text) => `${text}${text}`) },
    {
      weight: 1,
      arbitrary: fc.tuple(body, fc.nat(20)).map(([text, cut]) => text.slice(0, Math.max(0, text.length - cut))),
    },
    {
      weight: 1,
      arbitrary: fc.tuple(body, fc.constantFrom(10, 120, 900, 1100, 30_000)).map(([text, depth]) => deep(text, depth)),
    },
  );

/** Adds nested data beside the relevant members: Python's parser fails at some depth. */
function deep(text: string, depth: number): string {
  const nestedList = '['.repeat(depth) + ']'.repeat(depth);
  return text.endsWith('}') && text.length > 2 ? `${text.slice(0, -1)},"x":${nestedList}}` : `[${text},${nestedList}]`;
}

const utf8 = (text: string) => Buffer.from(text).toString('latin1');
/** Mostly UTF-8; JSON that is not is refused. */
const ENCODINGS: readonly ((text: string) => string)[] = [
  ...Array.from({ length: 20 }, () => utf8),
  (text) => text.replace(/[^\0-\xff]/g, '?'),
  (text) => `\xef\xbb\xbf${utf8(text)}`,
];

export const jsonCases: fc.Arbitrary<Case> = fc
  .constantFrom(...shapes)
  .chain(([line, body]) => fc.tuple(fc.constant(line), wrapped(body), fc.constantFrom(...ENCODINGS)))
  .map(([line, body, encode]) => {
    const [method = '', target = ''] = line.split(' ');
    const fields = [target.includes('/identities/1') || !isSdk(target) ? TOKEN : KEY, JSON_TYPE];
    return { method, target, version: VERSION, fields, body: encode(body), framing: 'length' };
  });

function isSdk(target: string): boolean {
  return /^\/api\/v1\/(?:identities|traits)\//.test(target);
}
