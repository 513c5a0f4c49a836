import type { Output } from '../python/json.ts';
import { str, type Value } from '../python/value.ts';
import type { Access } from '../rest/access.ts';
import { type Call, json, noContent, type Route } from '../rest/call.ts';
import { notFound, type Reply, ValidationError } from '../rest/errors.ts';
import { booleanField, charField, choiceField, many, type Validated, validate } from '../rest/fields.ts';
import { createFeature, deleteFeature, type Feature, findFeatures, updateFeature } from '../store/features.ts';
import { createOption, deleteOptions, listOptions, type OptionColumns, updateOption } from '../store/options.ts';
import type { Project } from '../store/projects.ts';
import { idOf, outerProjectOf, PROJECT, projectOf, userRoute } from './admin.ts';
import { NESTED_OPTION } from './admin-options.ts';

const OPTIONS = { multivariate_options: many(NESTED_OPTION, { required: false }) };
const TYPE = choiceField(['STANDARD', 'MULTIVARIATE'], { required: false, allowBlank: true });

/** The fields that can be set on an existing feature, without its name and initial values. */
const CHANGES = { ...OPTIONS, type: TYPE, is_archived: booleanField({ required: false }) };
const FIELDS = {
  ...CHANGES,
  name: charField({ maxLength: 2000 }),
  initial_value: charField({ required: false, allowNull: true, allowBlank: true, maxLength: 20000 }),
  default_enabled: booleanField({ required: false }),
};

/** Features: deleting or changing one changes every override of it. */
export function adminFeatureRoutes(access: Access): Route[] {
  const path = String.raw`${PROJECT}\/features`;
  return [
    userRoute(access, path, { GET: list, POST: create }),
    userRoute(access, String.raw`${path}\/(?<feature>[^/.]+)`, {
      GET: async (call) => json(await shown(call, await featureOf(call, await projectOf(call)))),
      PUT: update,
      PATCH: update,
      DELETE: remove,
    }),
  ];
}

async function list(call: Call): Promise<Reply> {
  const project = await projectOf(call);
  const features = await findFeatures(call.session.read, 'project_id = $1', [project.id]);
  const results = await Promise.all(features.map((feature) => shown(call, feature)));
  return json({ count: BigInt(results.length), next: null, previous: null, results });
}

async function create(call: Call): Promise<Reply> {
  const project = await outerProjectOf(call);
  const data = validate(FIELDS, withTextValue(await call.data()));
  const taken = await findFeatures(call.session.read, 'project_id = $1 AND lower(name) = lower($2)', [
    project.id,
    data.name!,
  ]);
  if (taken.length > 0) throw new ValidationError({ name: [TAKEN] });
  requireHundredAtMost(data);
  const feature = await createFeature(call.session, {
    projectId: project.id,
    name: data.name!,
    type: data.type ?? 'STANDARD',
    initialValue: data.initial_value ?? null,
    enabled: data.default_enabled ?? false,
  });
  for (const option of data.multivariate_options ?? []) {
    await createOption(call.session, feature.id, option as OptionColumns);
  }
  return json(await shown(call, await featureOf(call, project, feature.id)), 201);
}

const TAKEN = 'Feature with that name already exists for this project. Note that feature names are case insensitive.';

async function update(call: Call): Promise<Reply> {
  const project = await projectOf(call);
  const feature = await featureOf(call, project);
  const given = await call.data();
  const data = validate(CHANGES, given, { partial: call.method === 'PATCH' });
  requireHundredAtMost(data);
  await updateFeature(call.session, feature.id, data);
  if (data.multivariate_options !== undefined) {
    await setOptions(call, feature.id, data.multivariate_options as OptionColumns[], optionIds(given));
  }
  return json(await shown(call, await featureOf(call, project)));
}

/** Unnamed options are removed first; one named by its id moves to this feature from any other. */
async function setOptions(
  call: Call,
  featureId: bigint,
  options: readonly OptionColumns[],
  ids: readonly (bigint | undefined)[],
): Promise<void> {
  const existing = (await listOptions(call.session.read, featureId)).map(({ id }) => id);
  const unnamed = existing.filter((id) => !ids.includes(id));
  if (unnamed.length > 0) await deleteOptions(call.session, unnamed);
  for (const [index, columns] of options.entries()) {
    const id = ids[index];
    const named = id === undefined ? undefined : { ...columns, feature_id: featureId };
    const updated = named && (await updateOption(call.session, id!, named));
    if (updated === undefined) await createOption(call.session, featureId, columns);
  }
}

/** Ids are not fields of the serializer: they are taken from the raw data. */
function optionIds(given: unknown): (bigint | undefined)[] {
  const options = given instanceof Map ? given.get('multivariate_options') : [];
  return (options as Value[]).map((option) => {
    const id = option instanceof Map ? option.get('id') : undefined;
    return /^\d{1,9}$/.test(str(id ?? '')) ? BigInt(str(id!)) : undefined;
  });
}

function requireHundredAtMost({ multivariate_options: options = [] }: Validated<typeof OPTIONS>): void {
  const total = options.reduce((sum, { default_percentage_allocation: share = 100 }) => sum + share, 0);
  if (total > 100) throw new ValidationError({ multivariate_options: ['Invalid percentage allocation'] });
}

/** A number as initial value becomes text before it is checked. */
function withTextValue(given: Awaited<ReturnType<Call['data']>>): typeof given {
  if (!(given instanceof Map)) return given;
  const value = given.get('initial_value');
  return value && typeof value !== 'string' ? new Map(given).set('initial_value', str(value)) : given;
}

async function remove(call: Call): Promise<Reply> {
  const { id } = await featureOf(call, await projectOf(call));
  await deleteFeature(call.session, id);
  return noContent();
}

/** @throws HttpError 404 */
async function featureOf(call: Call, project: Project, id = idOf(call, 'feature', 'Feature')): Promise<Feature> {
  const [feature] = await findFeatures(call.session.read, 'project_id = $1 AND id = $2', [project.id, id]);
  if (feature === undefined) throw notFound('Feature');
  return feature;
}

async function shown(call: Call, feature: Feature): Promise<Output> {
  const options = await listOptions(call.session.read, feature.id);
  return { ...feature, multivariate_options: options.map(({ feature: _, ...option }) => option as Output) };
}
