import fc from 'fast-check';
import { type Case, FORM_TYPE, KEY, SESSION, TOKEN, VERSION } from '../case.ts';
import { oddText } from './writes.ts';

const index = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('0', '1', '2') },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      '',
      '00',
      '01',
      '-1',
      '+1',
      ' 0',
      '1_0',
      '%D9%A0',
      '0%0A',
      '9007199254740992',
      '9007199254740993',
      '18446744073709551616',
      '0]x[',
      '1e1',
      '0.5',
      'a',
    ),
  },
);
const breaks = fc.constantFrom(
  '',
  '',
  '',
  '',
  '%0A',
  '%0D',
  '%0D%0A',
  '%20',
  '.',
  '[',
  ']',
  '%E2%80%A8',
  '%C2%85',
  '%1C',
  '%00',
);

const fieldName = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom(
      ...[
        'identifier',
        'transient',
        'trait_key',
        'trait_value',
        'increment_by',
        'identity.identifier',
        'feature',
        'identity',
        'environment',
        'key',
        'api_key',
      ],
      ...[
        'delete_orphan_organisations',
        'source_identity_id',
        'identity[identifier]',
        'identity.identifier.x',
        '.identifier',
        'identity.',
        'traits',
        'identity',
        'Identifier',
      ],
    ),
  },
  {
    weight: 5,
    arbitrary: fc
      .tuple(
        fc.constantFrom('traits', 'traits', ''),
        index,
        fc.constantFrom('', '', '', '.', ' '),
        fc.constantFrom('trait_key', 'trait_key', 'trait_value', 'transient', 'identity.identifier'),
      )
      .map(([list, number, separator, name]) => `${list}[${number}]${separator}${name}`),
  },
);
/** Brackets mostly escaped, as in browsers. */
const written = fc.tuple(fieldName, breaks, fc.boolean()).map(([name, end, escaped]) => {
  return (escaped ? name.replaceAll('[', '%5B').replaceAll(']', '%5d') : name) + end;
});
const content = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.constantFrom(
      'ann',
      'ben',
      'plan',
      'age',
      '1',
      'true',
      'false',
      'on',
      '',
      '101',
      '1001',
      '41',
      'gold',
      'null',
    ),
  },
  { weight: 2, arbitrary: oddText },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '%20ann',
      'ann+',
      'a%2Bb',
      'n%C3%A9',
      'n%E9',
      'n\xc3\xa9',
      '\xe9',
      '%C3',
      'a%C3%28',
      '%F0%9F%98%80',
      '%ED%A0%BD',
      'a=b',
      'a;b',
      'a%26b',
      'x'.repeat(2001),
    ),
  },
);

const pair = fc
  .tuple(written, fc.constantFrom('=', '=', '=', '=', '=', '', '==', '%3D'), content)
  .map(([name, equals, text]) => name + equals + text);
/** The required fields of each route, so that odd fields are not rejected at once. */
const BASES = [
  ['POST /api/v1/identities/', 'identifier=ann'],
  ['POST /api/v1/identities/', 'identifier=ann&traits%5B0%5Dtrait_key=plan&traits%5B0%5Dtrait_value=1'],
  [
    'POST /api/v1/identities/',
    'identifier=ann&traits[0]trait_key=plan&traits[0]trait_value=1&traits[1]trait_key=age&traits[1]trait_value=2',
  ],
  ['POST /api/v1/traits/', 'identity.identifier=ann&trait_key=plan&trait_value=1'],
  ['PUT /api/v1/traits/bulk/', '[0]identity.identifier=ann&[0]trait_key=plan&[0]trait_value=1'],
  ['POST /api/v1/traits/increment-value/', 'identifier=ann&trait_key=age&increment_by=1'],
  ['POST /api/v1/identities/ann/traits/plan', 'trait_value=1'],
  ['POST /api/v1/environments/client-key/identities/', 'identifier=ann'],
  ['PATCH /api/v1/environments/client-key/identities/1001/', 'identifier=ann'],
  ['POST /api/v1/environments/client-key/delete-traits/', 'key=plan'],
  ['POST /api/v1/environments/client-key/identities/1001/traits/', 'trait_key=new'],
  ['PATCH /api/v1/environments/client-key/', 'api_key=renamed'],
  ['POST /api/v1/features/featurestates/', 'feature=101&environment=41&identity=1001'],
  ['PUT /api/v1/features/featurestates/9001/', 'feature=101&environment=41&identity=1002'],
  ['PUT /api/v1/environments/client-key/featurestates/9001/?anyIdentity=', 'feature=101&identity=1002'],
  ['POST /admin/features/feature/1/change/', 'name=x&_popup=1'],
  ['DELETE /api/v1/auth/users/me/', 'delete_orphan_organisations=true'],
] as const;

/** The fields of a form, as [method, target, `name=value` pairs in order]. */
export const formFields = fc
  .tuple(
    fc.constantFrom(...BASES),
    fc.array(pair, { maxLength: 3 }),
    fc.nat(4),
    fc.option(fc.nat(5), { freq: 20, nil: undefined }),
  )
  .map(([[line, base], added, at, dropped]) => {
    const [method = '', target = ''] = line.split(' ');
    const own = base.split('&').filter((_, position) => position !== dropped);
    return { method, target, pairs: [...own.slice(0, at), ...added, ...own.slice(at)] };
  });

export const keyFor = (target: string) => {
  if (target.startsWith('/admin/')) return SESSION;
  return /^\/api\/v1\/(?:identities|traits)\//.test(target) && !target.includes('1001') ? KEY : TOKEN;
};

export const formCases: fc.Arbitrary<Case> = fc
  .tuple(formFields, fc.constantFrom('&', '&', '&', '&', '&&', ';', '&amp;', '%26'))
  .map(([{ method, target, pairs }, separator]) => ({
    method,
    target,
    version: VERSION,
    fields: [keyFor(target), FORM_TYPE],
    body: pairs.join(separator),
    framing: 'length',
  }));
