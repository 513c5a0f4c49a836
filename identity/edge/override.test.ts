import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CoreMultivariateValue, CoreOverride } from '../core/identity.ts';
import { UnstorableError } from './document/skip.ts';
import { chooseOverrides, encodeOverride } from './override.ts';

const ENVIRONMENT = { id: 1, useV2FeatureVersioning: false };
const V2 = { id: 1, useV2FeatureVersioning: true };
const CURRENT = 'latestLiveFrom';
const BEFORE_2_257 = 'highestId';

function override(facts: Partial<CoreOverride> = {}): CoreOverride {
  return {
    ...{ id: 1, uuid: '3f1c1a52-6a0e-4f0e-9a3c-7a1d2b3c4d5e', environmentId: 1, enabled: true },
    ...{ featureId: 7, featureName: 'colour', featureType: 'STANDARD' },
    ...{ liveFrom: '2024-01-01T00:00:00', version: 1, hashingSalt: null, value: 'blue', multivariateValues: [] },
    ...facts,
  };
}

function multivariate(percentageAllocation: number | string, facts: Partial<CoreMultivariateValue> = {}) {
  return {
    ...{ id: 1, uuid: '0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d', percentageAllocation },
    ...{ optionId: 9, optionValue: 'red', optionKey: null },
    ...facts,
  };
}

const encode = (facts: Partial<CoreOverride>) => encodeOverride(override(facts)).M ?? {};

describe('several live overrides of one feature', () => {
  const early = override({ id: 1, liveFrom: '2024-01-01T00:00:00' });
  const late = override({ id: 2, liveFrom: '2024-01-01T00:00:00.000001' });
  const earlyButNewer = override({ id: 3, liveFrom: '2024-01-01T00:00:00', version: 9 });
  const all = [early, late, earlyButNewer];

  test('the latest live_from wins in an environment with v1 versioning', () => {
    expect(chooseOverrides(all, ENVIRONMENT, CURRENT)).toEqual([late]);
    expect(chooseOverrides([early, override({ id: 2, liveFrom: '-infinity' })], ENVIRONMENT, CURRENT)).toEqual([early]);
    expect(chooseOverrides([early, override({ id: 2, liveFrom: null })], ENVIRONMENT, CURRENT)).toEqual([early]);
  });

  test('of overrides with the same live_from the greatest version wins, and then the highest id', () => {
    expect(chooseOverrides([early, earlyButNewer], ENVIRONMENT, CURRENT)).toEqual([earlyButNewer]);
    expect(chooseOverrides([override({ version: 9 }), override({ id: 2 })], ENVIRONMENT, CURRENT)).toMatchObject([
      { version: 9 },
    ]);
    expect(chooseOverrides([early, override({ id: 2 })], ENVIRONMENT, CURRENT)).toMatchObject([{ id: 2 }]);
  });

  test('the highest id wins with v2 versioning, and on releases before 2.257.0', () => {
    expect(chooseOverrides(all, V2, CURRENT)).toEqual([earlyButNewer]);
    expect(chooseOverrides(all, ENVIRONMENT, BEFORE_2_257)).toEqual([earlyButNewer]);
  });

  test("an override of the identity's own environment beats a stray one, because only that is evaluated", () => {
    const stray = override({ id: 5, environmentId: 2, liveFrom: '2025-01-01T00:00:00' });
    expect(chooseOverrides([early, stray], ENVIRONMENT, CURRENT)).toEqual([early]);
    expect(chooseOverrides([stray, { ...early, id: 6 }], V2, CURRENT)).toMatchObject([{ id: 6 }]);
    expect(chooseOverrides([stray], ENVIRONMENT, CURRENT)).toEqual([stray]);
  });

  test('the winning override takes the place where its feature first appeared', () => {
    const other = override({ id: 2, featureId: 8 });
    const chosen = chooseOverrides([early, other, override({ id: 4, featureId: 7 })], V2, CURRENT);
    expect(chosen.map(({ id }) => id)).toEqual([4, 2]);
  });
});

test('an override is written as Flagsmith writes it', () => {
  expect(encodeOverride(override({ hashingSalt: -5, featureType: 'FLAG' }))).toEqual({
    M: {
      feature: { M: { id: { N: '7' }, name: { S: 'colour' }, type: { S: 'STANDARD' } } },
      enabled: { BOOL: true },
      django_id: { N: '-5' },
      feature_segment: { NULL: true },
      featurestate_uuid: { S: '3f1c1a52-6a0e-4f0e-9a3c-7a1d2b3c4d5e' },
      feature_state_value: { S: 'blue' },
      multivariate_feature_state_values: { L: [] },
    },
  });
});

test.each([
  ['123', { S: '123' }],
  ['', { S: '' }],
  [123, { N: '123' }],
  [false, { BOOL: false }],
  [null, { NULL: true }],
])('the value %j is never coerced', (value, attribute) => {
  expect(encode({ value })['feature_state_value']).toEqual(attribute);
  const [element] =
    encode({ multivariateValues: [multivariate(100, { optionValue: value })] })['multivariate_feature_state_values']
      ?.L ?? [];
  expect(element?.M?.['multivariate_feature_option']?.M?.['value']).toEqual(attribute);
});

test('a salt of 0 counts as none', () => {
  expect(encode({ id: 31, hashingSalt: 0 })['django_id']).toEqual({ N: '31' });
});

test('a value may have 20,000 characters, regardless of their size in memory', () => {
  expect(() => encode({ value: '🦄'.repeat(20_000) })).not.toThrow();
  expect(() => encode({ value: '🦄'.repeat(20_001) })).toThrow(UnstorableError);
});

describe('percentages', () => {
  const percentagesOf = (...percentages: (number | string)[]) =>
    encode({ multivariateValues: percentages.map((value, index) => multivariate(value, { id: index })) })[
      'multivariate_feature_state_values'
    ]?.L?.map(({ M }) => M?.['percentage_allocation']?.N);

  test('percentages are written as floats, by id', () => {
    expect(percentagesOf(0.1, 1e-7, 50)).toEqual(['0.1', '1E-7', '50.0']);
  });

  test.each([[[-0.1]], [[100.1]], [['NaN']], [['Infinity']], [[60, 60]], [[100, 1e-6]]])('%j is refused', (values) => {
    expect(() => percentagesOf(...values)).toThrow(UnstorableError);
  });

  test('percentages too small for DynamoDB are refused, too', () => {
    expect(() => percentagesOf(1e-200)).toThrow(UnstorableError);
  });

  const add = (parts: readonly number[]) => parts.reduce((sum, part) => sum + part, 0);

  test('percentages that exceed 100 by rounding in all orders but one are written in that order', () => {
    expect(add([33.7, 33.6, 32.7])).toBeGreaterThan(100);
    expect(add(percentagesOf(33.7, 33.6, 32.7)?.map(Number) ?? [])).toBe(100);
  });

  /** Every order of the parts. */
  const permute = (parts: readonly number[]): number[][] =>
    parts.length < 2
      ? [[...parts]]
      : parts.flatMap((part, index) => permute(parts.toSpliced(index, 1)).map((others) => [part, ...others]));

  test('parts of 100 are written in an order that readers accept, or refused if there is none', () => {
    const tenths = fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 1, maxLength: 5 }).map((cuts) => {
      const bounds = [0, ...cuts.toSorted((a, b) => a - b), 1000];
      return bounds.slice(1).map((bound, index) => (bound - (bounds[index] ?? 0)) / 10);
    });
    fc.assert(
      fc.property(tenths, (percentages) => {
        const isReadable = permute(percentages).some((order) => add(order) <= 100);
        if (!isReadable) {
          expect(() => percentagesOf(...percentages)).toThrow(UnstorableError);
          return;
        }
        const written = percentagesOf(...percentages)?.map(Number) ?? [];
        expect(written.toSorted()).toEqual(percentages.toSorted());
        expect(add(written)).toBeLessThanOrEqual(100);
      }),
    );
  });
});
