import { forbidden } from '../rest/access.ts';
import type { Call } from '../rest/call.ts';
import { detail, HttpError, ValidationError } from '../rest/errors.ts';
import {
  booleanField,
  charField,
  choiceField,
  dateTimeField,
  floatField,
  integerField,
  many,
  nested,
  primaryKeyField,
  type Validated,
} from '../rest/fields.ts';
import { type Environment, findById } from '../store/environments.ts';
import { type FeatureState, findSegmentEnvironment } from '../store/feature-states.ts';
import { findFeatures } from '../store/features.ts';
import { findIdentity, findIdentityById, type Identity } from '../store/identities.ts';
import { findMissingOption } from '../store/options.ts';
import { ModelError } from '../store/session.ts';

/** A value with its type, in the format of `features/featurestates/`. */
export const VALUE = {
  type: choiceField(['int', 'unicode', 'bool'], { required: false, allowNull: true }),
  string_value: charField({ required: false, allowNull: true, allowBlank: true, maxLength: 20000 }),
  integer_value: integerField({ required: false, allowNull: true, range: 'int32' }),
  boolean_value: booleanField({ required: false, allowNull: true }),
};

export const ENABLE = {
  feature: primaryKeyField({ required: false }),
  enabled: booleanField({ required: false }),
};

/** The writable fields of an override, including its identity. */
export const OVERRIDE = {
  feature: primaryKeyField(),
  environment: primaryKeyField({ required: false, allowNull: true }),
  identity: primaryKeyField({ required: false, allowNull: true }),
  feature_segment: primaryKeyField({ required: false, allowNull: true }),
  identifier: charField({ required: false }),
  enabled: booleanField({ required: false }),
  live_from: dateTimeField({ required: false, allowNull: true }),
  multivariate_feature_state_values: many(
    {
      id: integerField({ required: false }),
      multivariate_feature_option: primaryKeyField(),
      percentage_allocation: floatField({ range: 'percentage' }),
    },
    { required: false },
  ),
};

export const SIMPLE = {
  ...OVERRIDE,
  environment: primaryKeyField({ allowNull: true }),
  feature_state_value: nested(VALUE, { required: false }),
};

type Data = Validated<typeof OVERRIDE>;

/** The columns that the data sets. */
export type StateChanges = Partial<
  Pick<FeatureState, 'featureId' | 'identityId' | 'segmentId' | 'enabled' | 'liveFrom'>
>;

/**
 * Finds the rows that the data refers to, and checks that they belong together.
 *
 * @param state the state to be changed, which keeps its feature and environment
 * @param context the environment of the path; a route without one fails where the data names none
 * @throws ValidationError, Error
 */
export async function resolve(
  call: Call,
  data: Data,
  context: Environment | undefined,
  state?: FeatureState,
): Promise<{ environment: Environment; changes: StateChanges }> {
  const named = await requireEnvironment(call, data, state);
  await requireFeature(call, data, state);
  const byId = await requireIdentity(call, data);
  const segmentEnvironment = await requireSegment(call, data);
  await requireOptions(call, data);
  const environment = named ?? context;
  if (environment === undefined) throw new Error("KeyError: 'environment'");
  if (data.feature !== undefined) await requireSameProject(call, data.feature, environment);
  const identity = await identityBy(call, data, environment, byId);
  if (identity && identity.environmentId !== environment.id) refuse('Identity does not exist in environment.');
  if (segmentEnvironment !== undefined && segmentEnvironment !== environment.id) {
    refuse('Feature Segment does not belong to environment.');
  }
  const shares = (data.multivariate_feature_state_values ?? []).map((value) => value.percentage_allocation!);
  if (shares.reduce((sum, share) => sum + share, 0) > 100) refuse('Multivariate percentage values exceed 100%.');
  return { environment, changes: changesOf(data, identity) };
}

function changesOf(data: Data, identity: Identity | null | undefined): StateChanges {
  return {
    ...(data.feature !== undefined && { featureId: data.feature }),
    ...(identity !== undefined && { identityId: identity?.id ?? null }),
    ...(data.feature_segment !== undefined && { segmentId: data.feature_segment }),
    ...(data.enabled !== undefined && { enabled: data.enabled }),
    ...(data.live_from !== undefined && { liveFrom: data.live_from }),
  };
}

async function requireEnvironment(call: Call, { environment: id }: Data, state: FeatureState | undefined) {
  if (id === undefined) return undefined;
  if ((id as bigint | null) === null) throw new ValidationError({ environment: ['Environment may not be null.'] });
  const environment = (await findById(call.session.read, id)) ?? invalid('environment', id);
  if (state !== undefined && state.environmentId !== id) {
    throw new ValidationError({ environment: ['Cannot change the environment of a feature state'] });
  }
  return environment;
}

async function requireFeature(call: Call, { feature: id }: Data, state: FeatureState | undefined): Promise<void> {
  if (id === undefined) return;
  if (!(await featureExists(call, id))) invalid('feature', id);
  if (state !== undefined && state.featureId !== id) {
    throw new ValidationError({ feature: ['Cannot change the feature of a feature state'] });
  }
}

async function featureExists(call: Call, id: bigint, projectId?: bigint): Promise<boolean> {
  const features = await findFeatures(call.session.read, 'id = $1', [id]);
  return features.some(({ project }) => projectId === undefined || project === projectId);
}

async function requireSameProject(call: Call, feature: bigint, { projectId }: Environment): Promise<void> {
  if (await featureExists(call, feature, projectId)) return;
  throw new ValidationError({ feature: ['Feature does not exist in project'] });
}

async function requireIdentity(call: Call, { identity: id }: Data): Promise<Identity | null | undefined> {
  if (id === undefined) return undefined;
  if ((id as bigint | null) === null) return null;
  return (await findIdentityById(call.session.read, id)) ?? invalid('identity', id);
}

/** An identifier takes precedence over an id. */
async function identityBy(
  call: Call,
  { identifier }: Data,
  environment: Environment,
  byId: Identity | null | undefined,
) {
  if (identifier === undefined) return byId;
  return (await findIdentity(call.session.read, environment.id, identifier)) ?? refuse('Invalid identifier');
}

async function requireSegment(call: Call, { feature_segment: id }: Data): Promise<bigint | undefined> {
  if (id === undefined || (id as bigint | null) === null) return undefined;
  return (await findSegmentEnvironment(call.session.read, id)) ?? invalid('feature_segment', id);
}

async function requireOptions(call: Call, { multivariate_feature_state_values: values = [] }: Data): Promise<void> {
  const ids = values.map((value) => value.multivariate_feature_option!);
  const missing = await findMissingOption(call.session.read, ids);
  if (missing === undefined) return;
  const messages = ids.map((id) => (id === missing ? { multivariate_feature_option: [invalidPk(id)] } : {}));
  throw new ValidationError({ multivariate_feature_state_values: messages });
}

/** In an environment with feature versioning v2 only overrides are written without a version. @throws HttpError 400 */
export function requireDirectWrite(versioned: boolean, isOverride: boolean): void {
  if (!versioned || isOverride) return;
  const text = 'This environment uses v2 feature versioning. Use the environment feature version endpoint instead.';
  throw new HttpError(400, detail(text));
}

/** Runs a save in which violations of the models' own rules are answered with 400. */
export async function saving<T>(save: () => Promise<T>): Promise<T> {
  try {
    return await save();
  } catch (error) {
    if (error instanceof ModelError) throw new ValidationError([error.message]);
    throw error;
  }
}

/** The feature named in the data of a permission check. @throws HttpError 403, Error on an impossible id */
export async function requireNamedFeature(call: Call, id: bigint | null, projectId?: bigint): Promise<void> {
  if (id === null || !(await featureExists(call, id, projectId))) throw forbidden();
}

const invalidPk = (id: bigint) => `Invalid pk "${id}" - object does not exist.`;

function invalid(field: string, id: bigint): never {
  throw new ValidationError({ [field]: [invalidPk(id)] });
}

function refuse(message: string): never {
  throw new ValidationError({ non_field_errors: [message] });
}
