import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type {
  CoreEnvironment,
  CoreFeatureValue,
  CoreMultivariateValue,
  CoreOverride,
  OverrideWinner,
} from '../core/identity.ts';
import { UnstorableError } from './document/skip.ts';
import { checkLength, storableFloat } from './document/trait.ts';
import { version4 } from './identity-uuid.ts';

/** Longest text of a flag value that Edge's published types accept, in code points. */
const MAX_FEATURE_VALUE_LENGTH = 20_000;
/** Percentages such as 64.4 + 29.7 + 5.9 miss 100 by a rounding error when added as floats. */
export const ALLOCATION_TOLERANCE = 1e-9;

/**
 * One override per feature, in the order in which the features first appear by override id. Of several, the one that
 * Core's flag evaluation uses; Flagsmith's migrator takes the lowest id, and so changes flags.
 */
export function chooseOverrides(
  overrides: readonly CoreOverride[],
  environment: Pick<CoreEnvironment, 'id' | 'useV2FeatureVersioning'>,
  winner: OverrideWinner,
): readonly CoreOverride[] {
  if (overrides.length < 2) return overrides;
  const byLiveFrom = !environment.useV2FeatureVersioning && winner === 'latestLiveFrom';
  const winners = new Map<number, CoreOverride>();
  for (const override of overrides) {
    const rival = winners.get(override.featureId);
    if (rival === undefined || beats(override, rival)) winners.set(override.featureId, override);
  }
  return [...winners.values()];

  /** `override` has the higher id. */
  function beats(override: CoreOverride, rival: CoreOverride): boolean {
    const own = override.environmentId === environment.id;
    // Core evaluates only rows of the identity's own environment; a stray one counts if it is the only one.
    if (own !== (rival.environmentId === environment.id)) return own;
    if (!byLiveFrom) return true;
    // ISO texts sort as their times do; a missing one came first.
    const [later, earlier] = [override.liveFrom ?? '', rival.liveFrom ?? ''];
    return later === earlier ? (override.version ?? 0) >= (rival.version ?? 0) : later > earlier;
  }
}

/**
 * An element of `identity_features`, and the `feature_state` of an override row.
 *
 * @throws UnstorableError
 */
export function encodeOverride(override: CoreOverride): AttributeValue {
  const what = () => `override ${override.id}`;
  return {
    M: {
      feature: {
        M: {
          id: { N: String(override.featureId) },
          name: { S: override.featureName },
          // FLAG, CONFIG and the like are from before 2.221.1; Edge's published types know two.
          type: { S: override.featureType === 'MULTIVARIATE' ? 'MULTIVARIATE' : 'STANDARD' },
        },
      },
      enabled: { BOOL: override.enabled },
      // It seeds bucketing; 0 counts as no salt.
      django_id: { N: String(override.hashingSalt || override.id) },
      feature_segment: { NULL: true },
      featurestate_uuid: { S: version4(override.uuid) },
      feature_state_value: featureValue(override.value, what),
      multivariate_feature_state_values: { L: encodeMultivariateValues(override) },
    },
  };
}

function encodeMultivariateValues(override: CoreOverride): AttributeValue[] {
  const values = override.multivariateValues;
  if (values.length === 0) return [];
  const what = () => `override ${override.id}`;
  for (const { id, percentageAllocation } of values) {
    const percentage = Number(percentageAllocation);
    if (!(percentage >= 0 && percentage <= 100)) {
      throw new UnstorableError('AllocationInvalid', `${what()}: percentage ${id} is outside 0 to 100`);
    }
  }
  if (sum(values) > 100 + ALLOCATION_TOLERANCE) {
    throw new UnstorableError('AllocationInvalid', `${what()}: percentages add up to more than 100`);
  }
  const ordered = findReadableOrder(values);
  if (ordered === undefined) {
    throw new UnstorableError('AllocationInvalid', `${what()}: percentages exceed 100 by rounding in whatever order`);
  }
  return ordered.map((value) => ({
    M: {
      multivariate_feature_option: {
        M: {
          value: featureValue(value.optionValue, what),
          id: { N: String(value.optionId) },
          ...(value.optionKey === undefined ? {} : { key: nullable(value.optionKey) }),
        },
      },
      percentage_allocation: { N: storableFloat(Number(value.percentageAllocation), what) },
      id: { N: String(value.id) },
      mv_fs_value_uuid: { S: version4(value.uuid) },
    },
  }));
}

/** Up to this many values every order is tried: 40,320 at most. */
const MAX_PERMUTED = 8;

/**
 * Readers sort these by id, so their order says nothing; but before Python 3.12 they add the percentages up in the
 * stored order and refuse a sum a rounding error above 100. By id, unless another order avoids that.
 */
function findReadableOrder(values: readonly CoreMultivariateValue[]): readonly CoreMultivariateValue[] | undefined {
  if (sum(values) <= 100) return values;
  const ascending = values.toSorted((a, b) => Number(a.percentageAllocation) - Number(b.percentageAllocation));
  const monotonic = [ascending, ascending.toReversed()].find((order) => sum(order) <= 100);
  if (monotonic !== undefined || values.length > MAX_PERMUTED) return monotonic;
  return findOrder([], 0, values);
}

/** The first order of `rest` after `chosen`, whose sum is `total`, that stays within 100. */
function findOrder(
  chosen: readonly CoreMultivariateValue[],
  total: number,
  rest: readonly CoreMultivariateValue[],
): readonly CoreMultivariateValue[] | undefined {
  if (rest.length === 0) return total <= 100 ? chosen : undefined;
  for (const value of rest) {
    const others = rest.filter((other) => other !== value);
    const found = findOrder([...chosen, value], total + Number(value.percentageAllocation), others);
    if (found !== undefined) return found;
  }
  return undefined;
}

function sum(values: readonly CoreMultivariateValue[]): number {
  return values.reduce((total, value) => total + Number(value.percentageAllocation), 0);
}

/** Never coerced, unlike a trait: `"123"` stays text. */
function featureValue(value: CoreFeatureValue, what: () => string): AttributeValue {
  if (typeof value === 'number') return { N: String(value) };
  if (typeof value === 'boolean') return { BOOL: value };
  if (value !== null) checkLength(value, MAX_FEATURE_VALUE_LENGTH, what);
  return nullable(value);
}

function nullable(text: string | null): AttributeValue {
  return text === null ? { NULL: true } : { S: text };
}
