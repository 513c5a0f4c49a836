import type { Output } from '../python/json.ts';
import { pythonInt, str, type Value } from '../python/value.ts';
import { type Access, forbidden, requirePermission } from '../rest/access.ts';
import type { Input } from '../rest/body.ts';
import { type Call, json, type Route } from '../rest/call.ts';
import { notFound, type Reply } from '../rest/errors.ts';
import { validate } from '../rest/fields.ts';
import { type Environment, findById } from '../store/environments.ts';
import { createState, type FeatureState, findStates, LIVE, updateState } from '../store/feature-states.ts';
import { setValue, showState } from '../store/state-values.ts';
import { idOf, OR_JSON, userRoute } from './admin.ts';
import { featureIn, newState, saveAllocations } from './admin-feature-states.ts';
import { requireDirectWrite, requireNamedFeature, resolve, SIMPLE, saving } from './feature-state-data.ts';

/** `features/featurestates/`, which identifies feature states only by their ids. */
export function simpleFeatureStateRoutes(access: Access): Route[] {
  const path = String.raw`features\/featurestates`;
  return [
    userRoute(access, path, { GET: list, POST: create }),
    userRoute(access, String.raw`${path}\/(?<state>[^/.]+)`, { PUT: update, PATCH: update }, OR_JSON),
  ];
}

async function list(call: Call): Promise<Reply> {
  const environment = await environmentNamed(call, call.query);
  const states = await findStates(call.session.read, `s.environment_id = $1 AND ${LIVE}`, [environment.id]);
  const feature = call.query.get('feature');
  const chosen = states.filter(({ featureId }) => feature === null || featureId === pythonInt(feature));
  const results: Output[] = [];
  for (const { id } of chosen) results.push(await shown(call, id));
  return json({ count: BigInt(results.length), next: null, previous: null, results });
}

async function create(call: Call): Promise<Reply> {
  const given = await call.data();
  const environment = await environmentNamed(call, given);
  await requireNamedFeature(call, featureIn(given));
  requireDirectWrite(environment.versioned, isTruthy(fieldOf(given, 'identity')));
  const data = validate(SIMPLE, given);
  const { changes } = await resolve(call, data, undefined);
  const id = await saving(async () => {
    const state = await createState(call.session, { ...newState(changes), environmentId: environment.id });
    await save(call, state.id, data);
    return state.id;
  });
  return json(await shown(call, id), 201);
}

async function update(call: Call): Promise<Reply> {
  const [state] = await findStates(call.session.read, 's.id = $1', [idOf(call, 'state', 'FeatureState')]);
  if (state === undefined) throw notFound('FeatureState');
  const { organisationId, versioned } = (await findById(call.session.read, state.environmentId))!;
  requirePermission(call, organisationId);
  await requirePublished(call, state, versioned);
  const data = validate(SIMPLE, await call.data(), { partial: call.method === 'PATCH' });
  const { changes } = await resolve(call, data, undefined, state);
  await saving(async () => {
    await updateState(call.session, state, changes);
    await save(call, state.id, data);
  });
  return json(await shown(call, state.id));
}

/** A part of an unpublished version is not a direct write. */
async function requirePublished(call: Call, { versionId, identityId }: FeatureState, versioned: boolean) {
  const [draft] = await call.session.read(
    'SELECT uuid FROM feature_versioning_environmentfeatureversion WHERE uuid = $1 AND published_at IS NULL',
    [versionId],
  );
  if (draft === undefined) requireDirectWrite(versioned, identityId !== null);
}

/** @throws HttpError 403, even where the data names none */
async function environmentNamed(call: Call, data: Input): Promise<Environment> {
  const given = fieldOf(data, 'environment') ?? call.query.get('environment');
  const isId = typeof given === 'bigint' || (typeof given === 'string' && /^\d+$/.test(given));
  const environment = isId ? await findById(call.session.read, BigInt(given)) : undefined;
  if (environment === undefined) throw forbidden();
  requirePermission(call, environment.organisationId);
  return environment;
}

function fieldOf(data: Input, name: string): Value {
  if (data instanceof Map) return data.get(name) ?? null;
  if (data instanceof URLSearchParams) return data.getAll(name).at(-1) ?? null;
  throw new TypeError("object has no attribute 'get'");
}

const isTruthy = (value: Value) => value !== null && !['', '0', 'False', '[]', '{}'].includes(str(value));

async function save(call: Call, id: bigint, data: ReturnType<typeof validate<typeof SIMPLE>>): Promise<void> {
  if (data.feature_state_value !== undefined) await setValue(call.session, id, data.feature_state_value);
  await saveAllocations(call, id, data);
}

async function shown(call: Call, id: bigint): Promise<Output> {
  const { state, value } = await showState(call.session.read, id);
  return { ...state, feature_state_value: { ...(value as Record<string, Output>) } };
}
