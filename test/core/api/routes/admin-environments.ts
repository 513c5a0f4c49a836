import type { Output } from '../python/json.ts';
import type { Access } from '../rest/access.ts';
import { type Call, json, noContent, type Route } from '../rest/call.ts';
import { detail, HttpError, notFound, type Reply, ValidationError } from '../rest/errors.ts';
import { booleanField, charField, validate } from '../rest/fields.ts';
import {
  deleteEnvironment,
  deleteProject,
  disableVersioning,
  type Environment,
  enableVersioning,
  updateEnvironment,
} from '../store/environments.ts';
import { isDuplicate } from '../store/session.ts';
import { deleteTraitKey } from '../store/traits.ts';
import { ENVIRONMENT, environmentOf, idOf } from './admin.ts';

const FIELDS = {
  name: charField({ maxLength: 2000 }),
  api_key: charField({ required: false, maxLength: 100 }),
  allow_client_traits: booleanField({ required: false }),
  hide_sensitive_data: booleanField({ required: false }),
};

/** Environments and projects as a whole: what changes the documents of many identities at once. */
export function adminEnvironmentRoutes(access: Access): Route[] {
  const route = (path: string, methods: Route['methods']): Route => ({
    pattern: new RegExp(`^${path}$`),
    authenticate: access.requireUser,
    methods,
  });
  return [
    route(`${ENVIRONMENT}/`, {
      GET: async (call) => json(shown(await environmentOf(call))),
      PUT: update,
      PATCH: update,
      DELETE: remove,
    }),
    route(`${ENVIRONMENT}/delete-traits/`, { POST: removeTraitKey }),
    route(`${ENVIRONMENT}/enable-v2-versioning/`, { POST: enable }),
    route(`${ENVIRONMENT}/disable-v2-versioning/`, { POST: disable }),
    route(String.raw`projects\/(?<project>[^/.]+)\/`, { DELETE: removeProject }),
  ];
}

/** The client key is a field like any other. */
async function update(call: Call): Promise<Reply> {
  const { id } = await environmentOf(call);
  const data = validate(FIELDS, await call.data(), { partial: call.method === 'PATCH' });
  try {
    await updateEnvironment(call.session, id, {
      ...(data.name !== undefined && { name: data.name }),
      ...(data.api_key !== undefined && { apiKey: data.api_key }),
      ...(data.allow_client_traits !== undefined && { allowClientTraits: data.allow_client_traits }),
      ...(data.hide_sensitive_data !== undefined && { hideSensitiveData: data.hide_sensitive_data }),
    });
  } catch (error) {
    if (isDuplicate(error)) throw new ValidationError({ api_key: ['environment with this api key already exists.'] });
    throw error;
  }
  const key = data.api_key ?? call.parameters['environment']!;
  return json(shown(await environmentOf({ ...call, parameters: { environment: key } })));
}

async function remove(call: Call): Promise<Reply> {
  await deleteEnvironment(call.session, (await environmentOf(call)).id);
  return noContent();
}

async function removeTraitKey(call: Call): Promise<Reply> {
  const { id } = await environmentOf(call);
  let key: string | undefined;
  try {
    ({ key } = validate({ key: charField() }, await call.data()));
  } catch (error) {
    if (error instanceof ValidationError) throw new HttpError(400, detail("Couldn't delete trait keys."));
    throw error;
  }
  await deleteTraitKey(call.session, id, key!);
  return { status: 200, headers: {}, body: '' };
}

async function enable(call: Call): Promise<Reply> {
  const { id, versioned } = await environmentOf(call);
  if (versioned) throw new HttpError(400, detail('Environment already using v2 versioning.'));
  call.later((session) => enableVersioning(session, id));
  return { status: 202, headers: {}, body: '' };
}

async function disable(call: Call): Promise<Reply> {
  const { id, versioned } = await environmentOf(call);
  if (!versioned) throw new HttpError(400, detail('Environment is not using v2 versioning.'));
  call.later((session) => disableVersioning(session, id));
  return { status: 202, headers: {}, body: '' };
}

async function removeProject(call: Call): Promise<Reply> {
  const environments = await deleteProject(call.session, idOf(call, 'project'));
  if (environments === undefined) throw notFound();
  for (const id of environments) call.later((session) => deleteEnvironment(session, id));
  return noContent();
}

function shown(environment: Environment): Output {
  return {
    id: environment.id,
    name: environment.name,
    api_key: environment.apiKey,
    project: environment.projectId,
    allow_client_traits: environment.allowClientTraits,
    hide_sensitive_data: environment.hideSensitiveData,
    use_v2_feature_versioning: environment.versioned,
  };
}
