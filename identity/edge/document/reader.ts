import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { z } from 'zod';
import { ALLOCATION_TOLERANCE } from '../override.ts';
import type { Item } from './document.ts';
import { canonicalNumber } from './number.ts';
import { MAX_TRAIT_LENGTH } from './trait.ts';

export { sameValue } from './equality.ts';

/** A stored scalar. Numbers are canonical decimal text, see {@link canonicalNumber}; lists, maps and binaries stay raw. */
export type StoredValue = string | boolean | null | { readonly number: string } | { readonly raw: AttributeValue };

interface StoredOverride {
  readonly featureId: string;
  readonly featureName: string;
  readonly featureType: string;
  readonly enabled: boolean;
  readonly value: StoredValue;
  readonly djangoId: string | null;
  readonly uuid: string | undefined;
  /** In the order in which readers process them: by id, or by uuid where there is none. */
  readonly multivariateValues: readonly StoredMultivariateValue[];
}

interface StoredMultivariateValue {
  readonly id: string | null;
  readonly uuid: string | undefined;
  readonly percentageAllocation: string;
  readonly option: { readonly id: string | null; readonly value: StoredValue; readonly key: string | null };
}

/** What Flagsmith's readers see in an item of the identities table. */
export interface StoredIdentity {
  readonly environmentApiKey: string;
  readonly identifier: string;
  /** Undefined when missing: readers then generate a new one on every read. */
  readonly identityUuid: string | undefined;
  /** Core's id; null for an identity that was created on Edge. */
  readonly djangoId: string | null;
  readonly createdDate: string | undefined;
  readonly dashboardAlias: string | null;
  /** By key; of several with one key the last counts. */
  readonly traits: ReadonlyMap<string, StoredValue>;
  readonly systemTraits: ReadonlyMap<string, StoredValue>;
  /** In stored order, one per feature. */
  readonly overrides: readonly StoredOverride[];
}

export type ReadDocument =
  | { readonly kind: 'readable'; readonly identity: StoredIdentity }
  /** Flagsmith's readers refuse the document. Paths and rules, no values. */
  | { readonly kind: 'unreadable'; readonly problems: readonly string[] };

/**
 * Reads a stored document by the rules of Flagsmith's own readers (docs/flagsmith.md, "What readers require"). Unknown
 * attributes are allowed anywhere, as they are there.
 */
export function readDocument(item: Readonly<Item>): ReadDocument {
  const result = storedIdentity.safeParse(item);
  if (result.success) return { kind: 'readable', identity: result.data };
  return {
    kind: 'unreadable',
    problems: result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`),
  };
}

const text = z.object({ S: z.string() }).transform(({ S }) => S);
const absent = z.object({ NULL: z.literal(true) }).transform(() => null);
const decimal = z.string().regex(/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?$/, 'must be a number');
const number = z.object({ N: decimal }).transform(({ N }) => canonicalNumber(N));
const integer = number.refine((value) => !value.includes('.'), 'must be a whole number');
const boolean = z.object({ BOOL: z.boolean() }).transform(({ BOOL }) => BOOL);
/** A NULL here means the same as a missing attribute. */
const optionalInteger = z.union([integer, absent]).default(null);

const fact: z.ZodType<StoredValue> = z.union([
  text,
  boolean,
  absent,
  number.transform((value) => ({ number: value })),
  z.custom<AttributeValue>((value) => typeof value === 'object' && value !== null).transform((raw) => ({ raw })),
]);

/** Any spelling that Python's `UUID` accepts, but only version 4 of the RFC's variant. */
const UUID4 = /^(?:urn:uuid:)?\{?[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}\}?$/i;
const uuid = text.refine((value) => UUID4.test(value), 'must be a version 4 uuid');

const DATE_TIME = /^\d{4}-\d\d-\d\d(?:[T _]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?$/i;
const EPOCH = /^-?\d+(?:\.\d+)?$/;
const dateTime = z.union([
  text.refine((value) => DATE_TIME.test(value) || EPOCH.test(value), 'must be an ISO 8601 date and time'),
  number,
]);

const trait = z.object({
  M: z.object({
    trait_key: text,
    trait_value: fact.refine(
      (value) => typeof value !== 'string' || value.length <= MAX_TRAIT_LENGTH || [...value].length <= MAX_TRAIT_LENGTH,
      `must have at most ${MAX_TRAIT_LENGTH} characters`,
    ),
  }),
});

const percentage = number.refine((value) => Number(value) >= 0 && Number(value) <= 100, 'must be between 0 and 100');

const multivariateValue = z
  .object({
    M: z.object({
      multivariate_feature_option: z.object({
        M: z.object({ value: fact, id: optionalInteger, key: z.union([text, absent]).default(null) }),
      }),
      percentage_allocation: percentage,
      id: optionalInteger,
      mv_fs_value_uuid: uuid.optional(),
    }),
  })
  .transform(
    ({ M }): StoredMultivariateValue => ({
      id: M.id,
      uuid: M.mv_fs_value_uuid,
      percentageAllocation: M.percentage_allocation,
      option: M.multivariate_feature_option.M,
    }),
  );

const multivariateValues = z
  .object({ L: z.array(multivariateValue) })
  .transform(({ L }) => L)
  .refine(
    (values) =>
      values.reduce((sum, value) => sum + Number(value.percentageAllocation), 0) <= 100 + ALLOCATION_TOLERANCE,
    'percentages must not add up to more than 100',
  )
  .transform((values) => values.toSorted(byId));

/** The order in which readers process them, whichever way they are stored; without an id, by uuid. */
function byId(one: StoredMultivariateValue, other: StoredMultivariateValue): number {
  if (one.id !== null && other.id !== null) return Number(one.id) - Number(other.id);
  return (one.uuid ?? '') < (other.uuid ?? '') ? -1 : 1;
}

const override = z
  .object({
    M: z.object({
      feature: z.object({ M: z.object({ id: integer, name: text, type: text }) }),
      enabled: boolean,
      django_id: optionalInteger,
      featurestate_uuid: uuid.optional(),
      feature_state_value: fact.default(null),
      multivariate_feature_state_values: multivariateValues.default([]),
    }),
  })
  .transform(
    ({ M }): StoredOverride => ({
      featureId: M.feature.M.id,
      featureName: M.feature.M.name,
      featureType: M.feature.M.type,
      enabled: M.enabled,
      value: M.feature_state_value,
      djangoId: M.django_id,
      uuid: M.featurestate_uuid,
      multivariateValues: M.multivariate_feature_state_values,
    }),
  );

const overrides = z
  .object({ L: z.array(override) })
  .transform(({ L }) => L)
  .refine((all) => new Set(all.map(({ featureId }) => featureId)).size === all.length, 'must be of different features');

/** Not a `z.record`, which drops a key `__proto__`. */
const systemTraits = z
  .object({ M: z.custom<Record<string, AttributeValue>>((value) => typeof value === 'object' && value !== null) })
  .transform(({ M }) => Object.entries(M).map(([key, value]) => [key, fact.parse(value)] as const));

const storedIdentity = z
  .object({
    environment_api_key: text,
    identifier: text,
    identity_uuid: uuid.optional(),
    django_id: optionalInteger,
    created_date: dateTime.optional(),
    dashboard_alias: z.union([text, absent]).default(null),
    identity_traits: z.object({ L: z.array(trait) }).default({ L: [] }),
    identity_features: overrides.default([]),
    system_traits: z.union([systemTraits, absent]).default(null),
  })
  .transform(
    (item): StoredIdentity => ({
      environmentApiKey: item.environment_api_key,
      identifier: item.identifier,
      identityUuid: item.identity_uuid,
      djangoId: item.django_id,
      createdDate: item.created_date,
      dashboardAlias: item.dashboard_alias,
      traits: new Map(item.identity_traits.L.map(({ M }) => [M.trait_key, M.trait_value])),
      systemTraits: new Map(item.system_traits ?? []),
      overrides: item.identity_features,
    }),
  );
