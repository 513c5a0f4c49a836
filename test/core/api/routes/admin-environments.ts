import type { Access } from '../rest/access.ts';
import { forbidden, requirePermission } from '../rest/access.ts';
import { type Call, json, noContent, type Route } from '../rest/call.ts';
import { detail, HttpError, notFound, type Reply, ValidationError } from '../rest/errors.ts';
import { booleanField, charField, dateTimeField, primaryKeyField, type Validated, validate } from '../rest/fields.ts';
import {
  cloneEnvironment,
  cloneEnvironmentStates,
  createEnvironment,
  createServerKey,
  deleteEnvironment,
  deleteServerKey,
  type EnvironmentColumns,
  listServerKeys,
  type ServerKeyColumns,
  showEnvironment,
  updateEnvironment,
  updateServerKey,
} from '../store/environments.ts';
import { findProject } from '../store/projects.ts';
import { deleteTraitKey } from '../store/traits.ts';
import { disableVersioning, enableVersioning } from '../store/versions.ts';
import { ENVIRONMENT, environmentOf, idOf, OR_JSON, outerEnvironmentOf, userRoute } from './admin.ts';

const FIELDS = {
  name: charField({ maxLength: 2000 }),
  api_key: charField({ required: false, maxLength: 100 }),
  allow_client_traits: booleanField({ required: false }),
  hide_sensitive_data: booleanField({ required: false }),
  hide_disabled_flags: booleanField({ required: false, allowNull: true }),
  use_identity_composite_key_for_hashing: booleanField({ required: false }),
  use_identity_overrides_in_local_eval: booleanField({ required: false }),
};

const SERVER_KEY = {
  name: charField({ maxLength: 100 }),
  active: booleanField({ required: false }),
  expires_at: dateTimeField({ required: false, allowNull: true }),
};

/** Environments as a whole: changes that affect the documents of many identities at once. */
export function adminEnvironmentRoutes(access: Access): Route[] {
  const action = (name: string, view: Route['methods'][string]) =>
    userRoute(access, String.raw`${ENVIRONMENT}\/${name}`, { POST: view }, OR_JSON);
  const keys = String.raw`${ENVIRONMENT}\/api-keys`;
  return [
    userRoute(access, 'environments', { GET: list, POST: create }, OR_JSON),
    userRoute(access, ENVIRONMENT, { GET: retrieve, PUT: update, PATCH: update, DELETE: remove }, OR_JSON),
    action('delete-traits', removeTraitKey),
    action('clone', clone),
    action('enable-v2-versioning', enable),
    action('disable-v2-versioning', disable),
    userRoute(access, keys, { GET: listKeys, POST: createKey }),
    userRoute(access, String.raw`${keys}\/(?<key>[^/.]+)`, { PUT: updateKey, PATCH: updateKey, DELETE: removeKey }),
  ];
}

async function list(call: Call): Promise<Reply> {
  const id = call.query.get('project');
  const project = id !== null && /^\d{1,9}$/.test(id) ? await findProject(call.session.read, BigInt(id)) : undefined;
  if (project === undefined) throw new ValidationError(['Invalid or missing value for project parameter.']);
  requirePermission(call, project.organisationId);
  const rows = await call.session.read<{ id: bigint }>(
    'SELECT id FROM environments_environment WHERE project_id = $1 AND deleted_at IS NULL ORDER BY id',
    [project.id],
  );
  const results = await Promise.all(rows.map((row) => showEnvironment(call.session.read, row.id)));
  return json({ count: BigInt(rows.length), next: null, previous: null, results });
}

async function retrieve(call: Call): Promise<Reply> {
  const { id } = await environmentOf(call);
  return json(await showEnvironment(call.session.read, id));
}

async function create(call: Call): Promise<Reply> {
  const given = await call.data();
  const projectId = given instanceof Map || given instanceof URLSearchParams ? given.get('project') : null;
  const project = /^\d{1,9}$/.test(String(projectId))
    ? await findProject(call.session.read, BigInt(String(projectId)))
    : undefined;
  if (project === undefined) throw forbidden();
  requirePermission(call, project.organisationId);
  const data = validate({ ...FIELDS, project: primaryKeyField() }, given);
  await refuseTakenName(call, data.name!, project.id);
  const id = await keeping(call, data, () =>
    createEnvironment(call.session, project.id, { ...columnsOf(data), name: data.name! }),
  );
  return json(await showEnvironment(call.session.read, id), 201);
}

/** The client key is a field like any other; the project is not a field. */
async function update(call: Call): Promise<Reply> {
  const { id, projectId } = await environmentOf(call);
  const data = validate(FIELDS, await call.data(), { partial: call.method === 'PATCH' });
  if (data.name !== undefined) await refuseTakenName(call, data.name, projectId, id);
  await keeping(call, data, () => updateEnvironment(call.session, id, columnsOf(data)), id);
  return json(await showEnvironment(call.session.read, id));
}

function columnsOf({ use_identity_composite_key_for_hashing, ...data }: Validated<typeof FIELDS>): EnvironmentColumns {
  const { name, api_key, allow_client_traits, hide_sensitive_data, hide_disabled_flags } = data;
  const { use_identity_overrides_in_local_eval } = data;
  const columns = {
    ...{ name, api_key, allow_client_traits, hide_sensitive_data, hide_disabled_flags },
    ...{ use_mv_v2_evaluation: use_identity_composite_key_for_hashing, use_identity_overrides_in_local_eval },
  };
  return Object.fromEntries(Object.entries(columns).filter(([, value]) => value !== undefined));
}

async function refuseTakenName(call: Call, name: string, projectId: bigint, exceptId = 0n): Promise<void> {
  const taken = await call.session.read(
    'SELECT id FROM environments_environment WHERE project_id = $1 AND name = $2 AND id <> $3 AND deleted_at IS NULL',
    [projectId, name, exceptId],
  );
  if (taken.length === 0) return;
  throw new ValidationError({ non_field_errors: ['An environment with this name already exists.'] });
}

/** Checks for the key before it is written; the database has the last word. */
async function keeping<T>(call: Call, data: { api_key?: string }, write: () => Promise<T>, exceptId = 0n): Promise<T> {
  const taken = await call.session.read(
    'SELECT id FROM environments_environment WHERE api_key = $1 AND id <> $2 AND deleted_at IS NULL',
    [data.api_key ?? '', exceptId],
  );
  if (taken.length > 0) throw new ValidationError({ api_key: ['environment with this api key already exists.'] });
  return write();
}

async function remove(call: Call): Promise<Reply> {
  await deleteEnvironment(call.session, (await environmentOf(call)).id);
  return noContent();
}

async function clone(call: Call): Promise<Reply> {
  const { id } = await environmentOf(call);
  const fields = {
    name: charField({ maxLength: 2000 }),
    clone_feature_states_async: booleanField({ fallback: false }),
  };
  const { name, clone_feature_states_async: isAsync } = validate(fields, await call.data());
  const cloneId = await cloneEnvironment(call.session, id, name!);
  if (isAsync) call.later((session) => cloneEnvironmentStates(session, id, cloneId));
  else await cloneEnvironmentStates(call.session, id, cloneId);
  const { api_key, project } = await showEnvironment(call.session.read, cloneId);
  return json({ id: cloneId, name: name!, api_key: api_key!, project: project! });
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
  refuseFormat(call);
  const { id, versioned } = await environmentOf(call);
  if (versioned) throw new HttpError(400, detail('Environment already using v2 versioning.'));
  call.later((session) => enableVersioning(session, id));
  return { status: 202, headers: {}, body: '' };
}

async function disable(call: Call): Promise<Reply> {
  refuseFormat(call);
  const { id, versioned } = await environmentOf(call);
  if (!versioned) throw new HttpError(400, detail('Environment is not using v2 versioning.'));
  call.later((session) => disableVersioning(session, id));
  return { status: 202, headers: {}, body: '' };
}

/** These views do not accept the format from the path. */
function refuseFormat({ path }: Call): void {
  if (!path.endsWith('versioning/')) throw new TypeError("got an unexpected keyword argument 'format'");
}

async function listKeys(call: Call): Promise<Reply> {
  return json(await listServerKeys(call.session.read, (await outerEnvironmentOf(call)).id));
}

async function createKey(call: Call): Promise<Reply> {
  const { id } = await outerEnvironmentOf(call);
  const data = validate(SERVER_KEY, await call.data()) as ServerKeyColumns;
  return json(await createServerKey(call.session, id, data), 201);
}

async function updateKey(call: Call): Promise<Reply> {
  const id = await serverKeyOf(call);
  const data = validate(SERVER_KEY, await call.data(), { partial: call.method === 'PATCH' }) as ServerKeyColumns;
  return json(await updateServerKey(call.session, id, data));
}

async function removeKey(call: Call): Promise<Reply> {
  await deleteServerKey(call.session, await serverKeyOf(call));
  return noContent();
}

async function serverKeyOf(call: Call): Promise<bigint> {
  const environment = await outerEnvironmentOf(call);
  const id = idOf(call, 'key', 'EnvironmentAPIKey');
  const keys = await listServerKeys(call.session.read, environment.id);
  if (keys.every((key) => key['id'] !== id)) throw notFound('EnvironmentAPIKey');
  return id;
}
