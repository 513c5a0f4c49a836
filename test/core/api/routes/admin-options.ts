import type { Access } from '../rest/access.ts';
import { type Call, json, noContent, type Route } from '../rest/call.ts';
import { notFound, type Reply, ValidationError } from '../rest/errors.ts';
import {
  booleanField,
  charField,
  choiceField,
  floatField,
  integerField,
  primaryKeyField,
  type Validated,
  validate,
} from '../rest/fields.ts';
import { findFeatures } from '../store/features.ts';
import {
  createOption,
  deleteOption,
  exceedsHundred,
  listOptions,
  type Option,
  type OptionColumns,
  updateOption,
} from '../store/options.ts';
import { idOf, outerProjectOf, PROJECT, userRoute } from './admin.ts';

/** An option within its feature. */
export const NESTED_OPTION = {
  type: choiceField(['int', 'unicode', 'bool'], { required: false, allowNull: true }),
  integer_value: integerField({ required: false, allowNull: true, range: 'int32' }),
  string_value: charField({ required: false, allowNull: true, allowBlank: true, maxLength: 20000 }),
  boolean_value: booleanField({ required: false, allowNull: true }),
  default_percentage_allocation: floatField({ required: false, range: 'percentage' }),
};

const FIELDS = {
  ...NESTED_OPTION,
  key: charField({ required: false, allowNull: true, maxLength: 255 }),
  feature: primaryKeyField(),
};

/** The options of a multivariate feature: their values and keys are in every override that has a share of them. */
export function adminOptionRoutes(access: Access): Route[] {
  const path = String.raw`${PROJECT}\/features\/(?<feature>[^/.]+)\/mv-options`;
  return [
    userRoute(access, path, { GET: list, POST: create }),
    userRoute(access, String.raw`${path}\/(?<option>[^/.]+)`, {
      GET: async (call) => json(await optionOf(call)),
      PUT: update,
      PATCH: update,
      DELETE: remove,
    }),
  ];
}

async function list(call: Call): Promise<Reply> {
  const results = await listOptions(call.session.read, await featureIdOf(call));
  return json({ count: BigInt(results.length), next: null, previous: null, results });
}

/** Options of the feature in the body, whatever the path says. */
async function create(call: Call): Promise<Reply> {
  await featureIdOf(call);
  const { feature, ...columns } = await validated(call, validate(FIELDS, await call.data()));
  return json(await createOption(call.session, feature, columns as OptionColumns), 201);
}

async function update(call: Call): Promise<Reply> {
  const { id } = await optionOf(call);
  const data = validate(FIELDS, await call.data(), { partial: call.method === 'PATCH' });
  const { feature, ...columns } = await validated(call, data, id);
  return json((await updateOption(call.session, id, { ...(columns as OptionColumns), feature_id: feature }))!);
}

async function remove(call: Call): Promise<Reply> {
  await deleteOption(call.session, await featureIdOf(call), (await optionOf(call)).id);
  return noContent();
}

/**
 * Rules that span several fields.
 *
 * @throws ValidationError, and Error without feature or share, which a partial update allows
 */
async function validated(call: Call, data: Validated<typeof FIELDS>, id?: bigint) {
  const { feature, key, default_percentage_allocation: share } = data;
  await requireFeature(call, feature);
  requireKey(key);
  if (feature === undefined || share === undefined) throw new Error('KeyError');
  if (await exceedsHundred(call.session.read, feature, share, id)) {
    throw new ValidationError({ default_percentage_allocation: ['Invalid percentage allocation'] });
  }
  const siblings = (await listOptions(call.session.read, feature)).filter((option) => option.id !== id);
  if (key && siblings.some((option) => option['key'] === key)) {
    throw new ValidationError({ key: ['Multivariate option with this key already exists for the feature.'] });
  }
  return { ...data, feature };
}

async function requireFeature(call: Call, id: bigint | undefined): Promise<void> {
  if (id === undefined || (await findFeatures(call.session.read, 'id = $1', [id])).length > 0) return;
  throw new ValidationError({ feature: [`Invalid pk "${id}" - object does not exist.`] });
}

function requireKey(key: string | null | undefined): void {
  if (!key) return;
  if (!/^[-\w]+$/.test(key)) {
    const message = 'Enter a valid “slug” consisting of letters, numbers, underscores or hyphens.';
    throw new ValidationError({ key: [message] });
  }
  if (key === 'control') throw new ValidationError({ key: ["'control' is a reserved variant key."] });
}

/** The feature of the path. @throws HttpError 403, 404 */
async function featureIdOf(call: Call): Promise<bigint> {
  const project = await outerProjectOf(call);
  const id = idOf(call, 'feature', 'Feature');
  const [feature] = await findFeatures(call.session.read, 'project_id = $1 AND id = $2', [project.id, id]);
  if (feature === undefined) throw notFound('Feature');
  return id;
}

async function optionOf(call: Call): Promise<Option> {
  const options = await listOptions(call.session.read, await featureIdOf(call));
  const id = idOf(call, 'option', 'MultivariateFeatureOption');
  const option = options.find((one) => one.id === id);
  if (option === undefined) throw notFound('MultivariateFeatureOption');
  return option;
}
