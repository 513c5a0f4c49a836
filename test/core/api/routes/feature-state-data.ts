import type { Call } from '../rest/call.ts';
import { ValidationError } from '../rest/errors.ts';
import {
  booleanField,
  charField,
  dateTimeField,
  floatField,
  integerField,
  many,
  nested,
  type Validated,
} from '../rest/fields.ts';
import { findStates } from '../store/feature-states.ts';
import { findIdentity, findIdentityById } from '../store/identities.ts';

/** A value with its type, as `features/featurestates/` takes it. */
export const VALUE = {
  type: charField({ required: false }),
  string_value: charField({ required: false, allowNull: true, allowBlank: true, maxLength: 20000 }),
  integer_value: integerField({ required: false, allowNull: true, range: 'int32' }),
  boolean_value: booleanField({ required: false, allowNull: true }),
};

export const ENABLE = { feature: integerField({ required: false }), enabled: booleanField({ required: false }) };

/** What can be written of an override: also the identity that it belongs to. */
export const OVERRIDE = {
  feature: integerField(),
  environment: integerField({ required: false }),
  identity: integerField({ required: false, allowNull: true }),
  identifier: charField({ required: false }),
  enabled: booleanField({ required: false }),
  live_from: dateTimeField({ required: false, allowNull: true }),
  multivariate_feature_state_values: many(
    {
      id: integerField({ required: false }),
      multivariate_feature_option: integerField(),
      percentage_allocation: floatField(),
    },
    { required: false },
  ),
};

export const SIMPLE = {
  ...OVERRIDE,
  environment: integerField(),
  feature_state_value: nested(VALUE, { required: false }),
};

type Data = Validated<typeof OVERRIDE>;

/** Which rows an override belongs to. */
export interface References {
  readonly featureId: bigint;
  readonly environmentId: bigint;
  readonly identityId: bigint | null;
}

/**
 * Finds what the data refers to: the identity by id or identifier, which must be in the environment, and the feature.
 *
 * @throws ValidationError
 */
export async function resolveReferences(
  call: Call,
  data: Data,
  environmentId: bigint,
): Promise<{ values: Data; references: References }> {
  const identity =
    data.identifier === undefined
      ? data.identity && (await findIdentityById(call.session.read, environmentId, data.identity))
      : await findIdentity(call.session.read, environmentId, data.identifier);
  if (data.identifier !== undefined && !identity) {
    throw new ValidationError({ non_field_errors: ['Invalid identifier'] });
  }
  if (data.identity && !identity) {
    throw new ValidationError({ non_field_errors: ['Identity does not exist in environment.'] });
  }
  const shares = (data.multivariate_feature_state_values ?? []).map((value) => value.percentage_allocation!);
  if (shares.reduce((sum, share) => sum + share, 0) > 100) {
    throw new ValidationError({ non_field_errors: ['Multivariate percentage values exceed 100%.'] });
  }
  if (data.feature !== undefined) await requireFeature(call, data.feature);
  return {
    values: identity ? { ...data, identity: identity.id } : data,
    references: { featureId: data.feature ?? 0n, environmentId, identityId: identity ? identity.id : null },
  };
}

/** Only a check before the write, as in Flagsmith: two requests at once get two rows. @throws ValidationError */
export async function refuseSecond(call: Call, { featureId, environmentId, identityId }: References): Promise<void> {
  const condition = `s.feature_id = $1 AND s.environment_id = $2 AND s.identity_id IS NOT DISTINCT FROM $3
    AND s.feature_segment_id IS NULL`;
  const existing = await findStates(call.session.read, condition, [featureId, environmentId, identityId]);
  if (existing.length > 0) {
    throw new ValidationError([
      'Feature state already exists for this environment, feature, feature segment & identity.',
    ]);
  }
}

/** The columns that the data changes. */
export function changesOf({ feature, identity, enabled, live_from }: Data) {
  return {
    ...(feature !== undefined && { featureId: feature }),
    ...(identity && { identityId: identity }),
    ...(enabled !== undefined && { enabled }),
    ...(live_from !== undefined && { liveFrom: live_from }),
  };
}

async function requireFeature(call: Call, id: bigint): Promise<void> {
  const [feature] = await call.session.read('SELECT id FROM features_feature WHERE id = $1 AND deleted_at IS NULL', [
    id,
  ]);
  if (feature === undefined) throw new ValidationError({ feature: [`Invalid pk "${id}" - object does not exist.`] });
}
