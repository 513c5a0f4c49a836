/**
 * An identity as Core's rows describe it, before any rule of the Edge document is applied.
 * Scalars are exactly as in Postgres: values that JavaScript cannot hold without loss stay text.
 */
export interface CoreIdentity {
  /** `environments_identity.id`, Edge's `django_id`. */
  readonly id: number;
  readonly identifier: string;
  /** UTC, as Postgres writes it in JSON: `2023-05-17T09:30:01.123456`, `infinity`, `0044-03-15T00:00:00 BC`. */
  readonly createdDate: string;
  /** JSON text (its numbers may exceed a double), or null when there are none or the release has no such column. */
  readonly systemTraits: string | null;
  /** Ascending by id. */
  readonly traits: readonly CoreTrait[];
  /** The live ones, ascending by id; a feature may have several. */
  readonly overrides: readonly CoreOverride[];
  /** Which of several live overrides of one feature counts in the release that this was read from. */
  readonly overrideWinner: OverrideWinner;
}

/**
 * Which of several live overrides of one feature Core's flag evaluation uses in an environment with v1 feature
 * versioning (with v2 it is always the highest id).
 */
export type OverrideWinner = 'highestId' | 'latestLiveFrom';

/** A float that JSON cannot represent arrives as the text `Infinity`, `-Infinity` or `NaN`. */
type CoreFloat = number | string;

export interface CoreTrait {
  readonly id: number;
  readonly key: string;
  /** `int`, `unicode`, `bool`, `float`; null and anything else select no column. */
  readonly type: string | null;
  /** The column that `type` selects; the other columns hold leftovers of earlier types. */
  readonly value: string | number | boolean | null;
}

/** The column that the row's type selects: `int`, `bool`, and `string_value` for every other type. */
export type CoreFeatureValue = string | number | boolean | null;

export interface CoreOverride {
  /** `features_featurestate.id`. */
  readonly id: number;
  readonly uuid: string;
  readonly featureId: number;
  readonly featureName: string;
  /** `STANDARD`, `MULTIVARIATE` or a legacy type. */
  readonly featureType: string;
  /** Environment of the override's row; a stray row has another one than its identity. */
  readonly environmentId: number;
  readonly enabled: boolean;
  /** As {@link CoreIdentity.createdDate}. */
  readonly liveFrom: string | null;
  readonly version: number | null;
  /** `mv_hashing_salt`; null on releases without it. */
  readonly hashingSalt: number | null;
  readonly value: CoreFeatureValue;
  /** Ascending by id. */
  readonly multivariateValues: readonly CoreMultivariateValue[];
}

export interface CoreMultivariateValue {
  readonly id: number;
  readonly uuid: string;
  readonly percentageAllocation: CoreFloat;
  readonly optionId: number;
  readonly optionValue: CoreFeatureValue;
  /** Missing on releases whose options have no key. */
  readonly optionKey?: string | null;
}

/** A live (not soft-deleted) environment of a project. */
export interface CoreEnvironment {
  readonly id: number;
  readonly name: string;
  /** The client key; part of every Edge key. */
  readonly apiKey: string;
  readonly allowClientTraits: boolean;
  readonly useV2FeatureVersioning: boolean;
}

/** The place where an identity is, or would be. */
export interface IdentityPlace {
  readonly environmentId: number;
  readonly identifier: string;
}
