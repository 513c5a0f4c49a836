import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { describe, expect, test } from 'vitest';
import type { Item } from './document.ts';
import { readDocument, type StoredIdentity } from './reader.ts';

const UUID = '5d1f3a2b-7c8d-4e9f-a0b1-c2d3e4f5a6b7';
const NULL: AttributeValue = { NULL: true };
const trait = (trait_key: AttributeValue, trait_value: AttributeValue) => ({ M: { trait_key, trait_value } });
const FEATURE = { M: { id: { N: '31' }, name: { S: 'colour' }, type: { S: 'STANDARD' } } };
const override = (attributes: Item = {}) => ({ M: { feature: FEATURE, enabled: { BOOL: true }, ...attributes } });
const option = (attributes: Item = { value: { S: 'red' } }) => ({ M: attributes });
const multivariate = (percentage_allocation: AttributeValue, attributes: Item = {}) => ({
  M: { multivariate_feature_option: option(), percentage_allocation, ...attributes },
});
const withValues = (...L: AttributeValue[]) => ({
  identity_features: { L: [override({ multivariate_feature_state_values: { L } })] },
});

const MINIMAL: Item = {
  composite_key: { S: 'key_someone' },
  environment_api_key: { S: 'key' },
  identifier: { S: 'someone' },
};

function read(attributes: Item = {}): StoredIdentity {
  const result = readDocument({ ...MINIMAL, ...attributes });
  return result.kind === 'readable' ? result.identity : expect.fail(result.problems.join());
}

test('a whole document is read as facts', () => {
  const identity = read({
    created_date: { S: '2023-05-17T09:30:01.123456+00:00' },
    identity_uuid: { S: UUID },
    django_id: { N: '12345.0' },
    dashboard_alias: { S: 'somebody' },
    identity_traits: {
      L: [
        trait({ S: 'score' }, { N: '1E+1' }),
        trait({ S: 'plan' }, { S: 'gold' }),
        trait({ S: 'vip' }, { BOOL: true }),
        trait({ S: 'none' }, NULL),
        trait({ S: 'odd' }, { L: [] }),
        trait({ S: 'plan' }, { S: 'silver' }),
      ],
    },
    system_traits: { M: { cohort: { BOOL: true }, level: { N: '3.0' }, ['__proto__']: { S: 'x' } } },
    identity_features: {
      L: [
        override({
          django_id: { N: '9001' },
          feature_segment: NULL,
          featurestate_uuid: { S: UUID },
          feature_state_value: { N: '7.0' },
          multivariate_feature_state_values: {
            L: [multivariate({ N: '100.0' }, { id: { N: '5' }, mv_fs_value_uuid: { S: UUID } })],
          },
        }),
      ],
    },
    written_by_a_newer_release: { M: {} },
  });
  expect(identity).toEqual({
    environmentApiKey: 'key',
    identifier: 'someone',
    identityUuid: UUID,
    djangoId: '12345',
    createdDate: '2023-05-17T09:30:01.123456+00:00',
    dashboardAlias: 'somebody',
    traits: new Map<string, unknown>([
      ['score', { number: '10' }],
      ['plan', 'silver'], // the last value of a key counts
      ['vip', true],
      ['none', null],
      ['odd', { raw: { L: [] } }],
    ]),
    systemTraits: new Map<string, unknown>([
      ['cohort', true],
      ['level', { number: '3' }],
      ['__proto__', 'x'],
    ]),
    overrides: [
      {
        ...{ featureId: '31', featureName: 'colour', featureType: 'STANDARD', enabled: true },
        ...{ value: { number: '7' }, djangoId: '9001', uuid: UUID },
        multivariateValues: [
          { id: '5', uuid: UUID, percentageAllocation: '100', option: { id: null, value: 'red', key: null } },
        ],
      },
    ],
  });
});

test('a document with the minimum of attributes is read', () => {
  expect(read()).toEqual({
    ...{ environmentApiKey: 'key', identifier: 'someone', identityUuid: undefined, djangoId: null },
    ...{ createdDate: undefined, dashboardAlias: null, traits: new Map(), systemTraits: new Map(), overrides: [] },
  });
});

describe('accepted documents', () => {
  test.each<[string, Item]>([
    ['no composite key, which they compute', { composite_key: NULL }],
    ['NULL where nothing is known', { django_id: NULL, dashboard_alias: NULL, system_traits: NULL }],
    ['a uuid in upper case', { identity_uuid: { S: UUID.toUpperCase() } }],
    ['a uuid without dashes', { identity_uuid: { S: UUID.replaceAll('-', '') } }],
    ['a date with Z', { created_date: { S: '2023-05-17T09:30:01Z' } }],
    ['a date without zone', { created_date: { S: '2023-05-17 09:30:01.5' } }],
    ['a date as seconds', { created_date: { N: '1684315801' } }],
    ['an override without value, salt, uuid and segment', { identity_features: { L: [override()] } }],
    ['a trait of 2,000 characters', { identity_traits: { L: [trait({ S: 'k' }, { S: '🦄'.repeat(2000) })] } }],
    ['percentages of 100', withValues(multivariate({ N: '33.3' }), multivariate({ N: '66.7' }))],
    ['percentages of 100 but for rounding', withValues(...['64.4', '29.7', '5.9'].map((N) => multivariate({ N })))],
    ['attributes they do not know, anywhere', withValues(multivariate({ N: '1' }, { more: NULL }))],
  ])('readers accept %s', (_, attributes) => {
    read(attributes);
  });
});

describe('refused documents', () => {
  test.each<[string, Item]>([
    ['a NULL identifier', { identifier: NULL }],
    ['a number as environment key', { environment_api_key: { N: '1' } }],
    ...['created_date', 'identity_features', 'identity_traits', 'identity_uuid'].map((name): [string, Item] => [
      `${name} NULL`,
      { [name]: NULL },
    ]),
    ['a uuid of version 1', { identity_uuid: { S: 'c232ab00-9414-11ec-b3c8-9e6bdeced846' } }],
    ['a uuid of another variant', { identity_uuid: { S: '5d1f3a2b-7c8d-4e9f-c0b1-c2d3e4f5a6b7' } }],
    ['a malformed uuid', { identity_uuid: { S: 'x' } }],
    ['a malformed date', { created_date: { S: '17 May 2023' } }],
    ['a django_id with a fraction', { django_id: { N: '1.5' } }],
    ['a malformed number', { django_id: { N: 'NaN' } }],
    ['a trait without value', { identity_traits: { L: [{ M: { trait_key: { S: 'k' } } }] } }],
    ['a trait without key', { identity_traits: { L: [{ M: { trait_value: { S: 'v' } } }] } }],
    ['a trait whose key is a number', { identity_traits: { L: [trait({ N: '1' }, { S: 'v' })] } }],
    ['a trait of 2,001 characters', { identity_traits: { L: [trait({ S: 'k' }, { S: 'x'.repeat(2001) })] } }],
    ['two overrides of one feature', { identity_features: { L: [override(), override()] } }],
    ['an override without feature', { identity_features: { L: [{ M: { enabled: { BOOL: true } } }] } }],
    ['an override that is neither enabled nor disabled', { identity_features: { L: [override({ enabled: NULL })] } }],
    [
      'an override whose uuid is not of version 4',
      {
        identity_features: { L: [override({ featurestate_uuid: { S: '00000000-0000-0000-0000-000000000000' } })] },
      },
    ],
    ['NULL multivariate values', { identity_features: { L: [override({ multivariate_feature_state_values: NULL })] } }],
    ['an option without value', withValues(multivariate({ N: '1' }, { multivariate_feature_option: option({}) }))],
    ['a negative percentage', withValues(multivariate({ N: '-0.1' }))],
    ['a percentage above 100', withValues(multivariate({ N: '100.1' }))],
    ['a NULL percentage', withValues(multivariate(NULL))],
    ['percentages above 100 together', withValues(multivariate({ N: '60' }), multivariate({ N: '60' }))],
    [
      'a multivariate value whose uuid is not of version 4',
      withValues(multivariate({ N: '1' }, { mv_fs_value_uuid: { S: 'x' } })),
    ],
    ['system traits that are a list', { system_traits: { L: [] } }],
  ])('readers refuse %s', (_, attributes) => {
    expect(readDocument({ ...MINIMAL, ...attributes }).kind).toBe('unreadable');
  });

  test('readers refuse a document without an identifier', () => {
    const { identifier, ...rest } = MINIMAL;
    expect(identifier).toBeDefined();
    expect(readDocument(rest).kind).toBe('unreadable');
  });

  test('a refusal names the place, but not the content', () => {
    const secret = 'secret'.repeat(400);
    const result = readDocument({ ...MINIMAL, identity_traits: { L: [trait({ S: 'secret key' }, { S: secret })] } });
    expect(result).toEqual({
      kind: 'unreadable',
      problems: ['identity_traits.L.0.M.trait_value: must have at most 2000 characters'],
    });
  });
});
