import type { Output } from '../python/json.ts';
import { str, type Value } from '../python/value.ts';
import type { Access } from '../rest/access.ts';
import { type Call, json, noContent, type Route } from '../rest/call.ts';
import { detail, HttpError, notFound, type Reply } from '../rest/errors.ts';
import { validate } from '../rest/fields.ts';
import {
  cloneStates,
  createState,
  deleteState,
  type FeatureState,
  findStates,
  scalarValue,
  setAllocations,
  setValue,
  showState,
  updateState,
} from '../store/feature-states.ts';
import { findIdentityById } from '../store/identities.ts';
import { ENVIRONMENT, environmentOf, IDENTITY, identityOf, idOf } from './admin.ts';
import { changesOf, ENABLE, OVERRIDE, refuseSecond, resolveReferences, SIMPLE, VALUE } from './feature-state-data.ts';

/** The three families of routes that set overrides: below an identity, below an environment, and on their own. */
export function adminFeatureStateRoutes(access: Access): Route[] {
  const route = (path: string, methods: Route['methods']): Route => ({
    pattern: new RegExp(`^${path}$`),
    authenticate: access.requireUser,
    methods,
  });
  const one = { GET: retrieve, PUT: update, PATCH: update, DELETE: remove };
  return [
    route(`${IDENTITY}/featurestates/`, { GET: list, POST: create }),
    route(`${IDENTITY}/featurestates/all/`, { GET: all }),
    route(`${IDENTITY}/featurestates/clone-from-given-identity/`, { POST: clone }),
    route(`${IDENTITY}/featurestates/(?<state>[^/.]+)/`, one),
    route(`${ENVIRONMENT}/featurestates/`, { GET: list, POST: create }),
    route(`${ENVIRONMENT}/featurestates/(?<state>[^/.]+)/`, one),
    route(String.raw`features\/featurestates\/`, { POST: createSimple }),
    route(String.raw`features\/featurestates\/(?<state>[^/.]+)\/`, { PUT: updateSimple, PATCH: updateSimple }),
  ];
}

/** Below an identity its overrides; below an environment its own states, or with `anyIdentity` everyone's overrides. */
async function statesOf(call: Call): Promise<FeatureState[]> {
  const { id } = await environmentOf(call);
  if (call.parameters['identity'] !== undefined) {
    const values = [id, idOf(call, 'identity')];
    return findStates(call.session.read, 's.environment_id = $1 AND s.identity_id = $2', values);
  }
  const whose = call.query.has('anyIdentity') ? 'IS NOT NULL' : 'IS NULL';
  const condition = `s.environment_id = $1 AND s.feature_segment_id IS NULL AND s.identity_id ${whose}`;
  return findStates(call.session.read, condition, [id]);
}

async function stateOf(call: Call): Promise<FeatureState> {
  const state = (await statesOf(call)).find(({ id }) => id === idOf(call, 'state'));
  if (state === undefined) throw notFound();
  return state;
}

async function list(call: Call): Promise<Reply> {
  const results: Output[] = [];
  for (const { id } of await statesOf(call)) results.push(await shown(call, id));
  return json({ count: BigInt(results.length), next: null, previous: null, results });
}

async function retrieve(call: Call): Promise<Reply> {
  return json(await shown(call, (await stateOf(call)).id));
}

/** Creates the state before it looks at the value. */
async function create(call: Call): Promise<Reply> {
  const environment = await environmentOf(call);
  if (environment.versioned && call.parameters['identity'] === undefined) {
    throw new HttpError(400, detail('Cannot create feature states directly in an environment with v2 versioning.'));
  }
  const data = dictionary(await call.data());
  if (!data.has('feature')) throw new HttpError(400, detail('Feature not provided'));
  data.set('environment', environment.id);
  if (call.parameters['identity'] !== undefined) data.set('identity', call.parameters['identity']);
  const { values, references } = await resolveReferences(call, validate(OVERRIDE, data), environment.id);
  await refuseSecond(call, references);
  const state = await createState(call.session, {
    ...references,
    enabled: values.enabled ?? false,
    liveFrom: values.live_from ?? null,
  });
  if (values.multivariate_feature_state_values !== undefined) {
    await setAllocations(call.session, state.id, values.multivariate_feature_state_values);
  }
  if (data.has('feature_state_value')) await setScalar(call, state.id, data.get('feature_state_value')!);
  return json(await shown(call, state.id), 201);
}

/** Sets the value before it looks at the rest. Always partial; PATCH knows two fields only. */
async function update(call: Call): Promise<Reply> {
  const state = await stateOf(call);
  const data = dictionary(await call.data());
  if (data.has('feature_state_value')) await setScalar(call, state.id, data.get('feature_state_value')!);
  if (call.method === 'PATCH') {
    const { feature, enabled } = validate(ENABLE, data, { partial: true });
    await updateState(call.session, state.id, {
      ...(feature !== undefined && { featureId: feature }),
      ...(enabled !== undefined && { enabled }),
    });
    const [changed] = await findStates(call.session.read, 's.id = $1', [state.id]);
    return json({ feature: changed?.featureId ?? state.featureId, enabled: changed?.enabled ?? state.enabled });
  }
  const { values } = await resolveReferences(call, validate(OVERRIDE, data, { partial: true }), state.environmentId);
  await updateState(call.session, state.id, changesOf(values));
  if (values.multivariate_feature_state_values !== undefined) {
    await setAllocations(call.session, state.id, values.multivariate_feature_state_values);
  }
  return json(await shown(call, state.id));
}

async function remove(call: Call): Promise<Reply> {
  await deleteState(call.session, (await stateOf(call)).id);
  return noContent();
}

/** All flags of the identity as evaluated; this API evaluates none. */
async function all(call: Call): Promise<Reply> {
  await identityOf(call);
  return json([]);
}

async function clone(call: Call): Promise<Reply> {
  const target = await identityOf(call);
  const data = await call.data();
  const given = data instanceof Map ? data.get('source_identity_id') : undefined;
  const sourceId = /^\d{1,9}$/.test(str(given ?? '')) ? BigInt(str(given!)) : undefined;
  if (sourceId === undefined) throw new HttpError(400, { source_identity_id: ['A valid integer is required.'] });
  const source = await findIdentityById(call.session.read, target.environmentId, sourceId);
  if (source === undefined) throw notFound();
  const overrides = (id: bigint) => findStates(call.session.read, 's.identity_id = $1', [id]);
  const states = await overrides(target.id);
  await cloneStates(call.session, await overrides(source.id), {
    identityId: target.id,
    environmentId: target.environmentId,
    states,
  });
  return all(call);
}

async function createSimple(call: Call): Promise<Reply> {
  const data = validate(SIMPLE, await call.data());
  const { values, references } = await resolveReferences(call, data, data.environment!);
  await refuseSecond(call, references);
  const state = await createState(call.session, {
    ...references,
    enabled: values.enabled ?? false,
    liveFrom: values.live_from ?? null,
  });
  await setSimple(call, state.id, data);
  return json(await shownSimple(call, state.id), 201);
}

async function updateSimple(call: Call): Promise<Reply> {
  const [state] = await findStates(call.session.read, 's.id = $1', [idOf(call, 'state')]);
  if (state === undefined) throw notFound();
  const data = validate(SIMPLE, await call.data(), { partial: call.method === 'PATCH' });
  const { values } = await resolveReferences(call, data, data.environment ?? state.environmentId);
  await updateState(call.session, state.id, changesOf(values));
  await setSimple(call, state.id, data);
  return json(await shownSimple(call, state.id));
}

async function setSimple(call: Call, id: bigint, data: ReturnType<typeof validate<typeof SIMPLE>>): Promise<void> {
  if (data.feature_state_value !== undefined) await setValue(call.session, id, data.feature_state_value);
  if (data.multivariate_feature_state_values !== undefined) {
    await setAllocations(call.session, id, data.multivariate_feature_state_values);
  }
}

/** A bare value: int and bool have their columns, anything else is text; the other columns stay stale. */
async function setScalar(call: Call, stateId: bigint, value: Value): Promise<void> {
  const columns: [string, Value][] =
    typeof value === 'bigint'
      ? [
          ['type', 'int'],
          ['integer_value', value],
        ]
      : typeof value === 'boolean'
        ? [
            ['type', 'bool'],
            ['boolean_value', value],
          ]
        : [
            ['type', 'unicode'],
            ['string_value', value],
          ];
  await setValue(call.session, stateId, validate(VALUE, new Map(columns)));
}

async function shown(call: Call, id: bigint): Promise<Output> {
  const { state, value } = await showState(call.session.read, id);
  return { ...state, feature_state_value: scalarValue(value) };
}

async function shownSimple(call: Call, id: bigint): Promise<Output> {
  const { state, value } = await showState(call.session.read, id);
  return { ...state, feature_state_value: { ...(value as Record<string, Output>) } };
}

/** These views assign to the data, which a form does not allow: a server error, as in Flagsmith. */
function dictionary(data: unknown): Map<string, Value> {
  if (data instanceof Map) return new Map(data);
  if (Array.isArray(data)) throw new HttpError(400, detail('Feature not provided'));
  throw new TypeError('This QueryDict instance is immutable');
}
