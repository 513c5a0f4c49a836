import type { Access } from '../rest/access.ts';
import { type Call, json, noContent, type Route } from '../rest/call.ts';
import { notFound, type Reply } from '../rest/errors.ts';
import { booleanField, charField, floatField, integerField, validate } from '../rest/fields.ts';
import {
  createOption,
  deleteFeature,
  deleteOption,
  findFeature,
  listOptions,
  type OptionColumns,
  updateOption,
} from '../store/features.ts';
import { idOf } from './admin.ts';

const OPTION = {
  type: charField({ required: false }),
  integer_value: integerField({ required: false, allowNull: true, range: 'int32' }),
  string_value: charField({ required: false, allowNull: true, allowBlank: true }),
  boolean_value: booleanField({ required: false, allowNull: true }),
  default_percentage_allocation: floatField({ required: false }),
  key: charField({ required: false, allowNull: true, maxLength: 255 }),
};

const FEATURE = String.raw`projects\/(?<project>[^/.]+)\/features\/(?<feature>[^/.]+)`;

/** Features and multivariate options: deleting or changing one changes every override of it. */
export function adminFeatureRoutes(access: Access): Route[] {
  const route = (path: string, methods: Route['methods']): Route => ({
    pattern: new RegExp(`^${path}$`),
    authenticate: access.requireUser,
    methods,
  });
  return [
    route(`${FEATURE}/`, { GET: async (call) => json(await featureOf(call)), DELETE: remove }),
    route(`${FEATURE}/mv-options/`, { GET: list, POST: create }),
    route(`${FEATURE}/mv-options/(?<option>[^/.]+)/`, {
      GET: async (call) => json(await optionOf(call)),
      PUT: update,
      PATCH: update,
      DELETE: removeOption,
    }),
  ];
}

async function remove(call: Call): Promise<Reply> {
  await featureOf(call);
  await deleteFeature(call.session, idOf(call, 'feature'));
  return noContent();
}

async function list(call: Call): Promise<Reply> {
  await featureOf(call);
  const results = await listOptions(call.session.read, idOf(call, 'feature'));
  return json({ count: BigInt(results.length), next: null, previous: null, results });
}

async function create(call: Call): Promise<Reply> {
  await featureOf(call);
  const option = validate(OPTION, await call.data()) as OptionColumns;
  return json(await createOption(call.session, idOf(call, 'feature'), option), 201);
}

async function update(call: Call): Promise<Reply> {
  await optionOf(call);
  const option = validate(OPTION, await call.data(), { partial: call.method === 'PATCH' }) as OptionColumns;
  return json(await updateOption(call.session, idOf(call, 'option'), option));
}

async function removeOption(call: Call): Promise<Reply> {
  await optionOf(call);
  await deleteOption(call.session, idOf(call, 'feature'), idOf(call, 'option'));
  return noContent();
}

async function featureOf(call: Call) {
  const feature = await findFeature(call.session.read, idOf(call, 'project'), idOf(call, 'feature'));
  if (feature === undefined) throw notFound();
  return feature;
}

async function optionOf(call: Call) {
  await featureOf(call);
  const options = await listOptions(call.session.read, idOf(call, 'feature'));
  const option = options.find(({ id }) => id === idOf(call, 'option'));
  if (option === undefined) throw notFound();
  return option;
}
