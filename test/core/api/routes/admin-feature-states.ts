import type { Output } from '../python/json.ts';
import { pythonInt, str, type Value } from '../python/value.ts';
import { type Access, forbidden, requirePermission } from '../rest/access.ts';
import type { Input } from '../rest/body.ts';
import { type Call, json, noContent, type Route } from '../rest/call.ts';
import { detail, HttpError, notFound, type Reply, ValidationError } from '../rest/errors.ts';
import { integerField, validate } from '../rest/fields.ts';
import { findByClientKey, findById } from '../store/environments.ts';
import {
  createState,
  deleteStates,
  type FeatureState,
  findStates,
  LIVE,
  updateState,
} from '../store/feature-states.ts';
import { findIdentityById } from '../store/identities.ts';
import { cloneStates, scalarValue, setAllocations, setValue, showState } from '../store/state-values.ts';
import { ENVIRONMENT, IDENTITY, idOf, outerEnvironmentOf, userRoute } from './admin.ts';
import {
  ENABLE,
  OVERRIDE,
  requireDirectWrite,
  requireNamedFeature,
  resolve,
  type StateChanges,
  saving,
  VALUE,
} from './feature-state-data.ts';

/** The routes below an identity, which set its overrides, and below an environment, which set everyone's too. */
export function adminFeatureStateRoutes(access: Access): Route[] {
  const one = { GET: retrieve, PUT: update, PATCH: update, DELETE: remove };
  const below = String.raw`${IDENTITY}\/featurestates`;
  return [
    userRoute(access, below, { GET: list, POST: create }),
    userRoute(access, String.raw`${below}\/all`, { GET: all }),
    userRoute(access, String.raw`${below}\/clone-from-given-identity`, { POST: clone }),
    userRoute(access, String.raw`${below}\/(?<state>[^/.]+)`, one),
    userRoute(access, String.raw`${ENVIRONMENT}\/featurestates`, { GET: list, POST: create }),
    userRoute(access, String.raw`${ENVIRONMENT}\/featurestates\/(?<state>[^/.]+)`, one),
  ];
}

/** Below an identity its overrides; below an environment its own states, or with `anyIdentity` everyone's overrides. */
async function statesOf(call: Call): Promise<FeatureState[]> {
  const environment = await findByClientKey(call.session.read, call.parameters['environment']!);
  if (environment === undefined) throw new HttpError(404, detail('Environment not found.'));
  if (call.parameters['identity'] !== undefined) {
    const values = [environment.id, idOf(call, 'identity', 'FeatureState')];
    return findStates(call.session.read, `s.environment_id = $1 AND s.identity_id = $2 AND ${LIVE}`, values);
  }
  const whose = call.query.has('anyIdentity') ? 'IS NOT NULL' : 'IS NULL';
  const condition = `s.environment_id = $1 AND s.feature_segment_id IS NULL AND s.identity_id ${whose} AND ${LIVE}`;
  return findStates(call.session.read, condition, [environment.id]);
}

/** @throws HttpError 404, then 403 */
async function stateOf(call: Call): Promise<FeatureState> {
  const id = idOf(call, 'state', 'FeatureState');
  const state = (await statesOf(call)).find((one) => one.id === id);
  if (state === undefined) throw notFound('FeatureState');
  const { organisationId, versioned } = (await findById(call.session.read, state.environmentId))!;
  requirePermission(call, organisationId);
  if (call.method !== 'GET') requireDirectWrite(versioned, state.identityId !== null);
  return state;
}

async function list(call: Call): Promise<Reply> {
  await outerEnvironmentOf(call);
  const results: Output[] = [];
  for (const state of await statesOf(call)) {
    const identity =
      state.identityId === null ? undefined : await findIdentityById(call.session.read, state.identityId);
    const whose = identity === undefined ? null : { id: identity.id, identifier: identity.identifier };
    results.push({ ...(await shown(call, state.id)), identity: whose });
  }
  return json({ count: BigInt(results.length), next: null, previous: null, results });
}

async function retrieve(call: Call): Promise<Reply> {
  return json(await shown(call, (await stateOf(call)).id));
}

/** Creates the state before it checks the value, and then ignores an invalid one. */
async function create(call: Call): Promise<Reply> {
  const environment = await outerEnvironmentOf(call);
  const given = await call.data();
  await requireNamedFeature(call, featureIn(given), environment.projectId);
  const identity = call.parameters['identity'];
  const data = dictionary(given);
  data.set('environment', environment.id);
  if (identity !== undefined) data.set('identity', identity);
  requireDirectWrite(environment.versioned, identity !== undefined);
  const values = validate(OVERRIDE, data);
  const { changes } = await resolve(call, values, environment);
  const state = await saving(async () => {
    const created = await createState(call.session, { ...newState(changes), environmentId: environment.id });
    await saveAllocations(call, created.id, values);
    return created;
  });
  if (data.has('feature_state_value')) {
    await setScalar(call, state.id, data.get('feature_state_value')!).catch((error: unknown) => {
      if (!(error instanceof ValidationError)) throw error;
    });
  }
  return json(await shown(call, state.id), 201);
}

/** The feature for which a permission is required. @throws Error where the data is no dictionary or names no id */
export function featureIn(data: Input): bigint | null {
  const isDictionary = data instanceof Map || data instanceof URLSearchParams;
  if (!isDictionary) throw new TypeError("object has no attribute 'get'");
  const given = (data.get('feature') ?? null) as Value;
  if (given === null) return null;
  const id = typeof given === 'boolean' ? undefined : pythonInt(str(given));
  if (id === undefined) throw new TypeError(`Field 'id' expected a number but got ${str(given)}`);
  return id;
}

export function newState({ featureId, enabled = false, ...changes }: StateChanges) {
  return { ...changes, featureId: featureId!, enabled };
}

/** Sets the value before it checks the rest. Always partial; PATCH supports two fields only. */
async function update(call: Call): Promise<Reply> {
  const state = await stateOf(call);
  const given = await call.data();
  const hasValue = (given instanceof Map || given instanceof URLSearchParams) && given.has('feature_state_value');
  if (hasValue) {
    await setScalar(call, state.id, given.get('feature_state_value')!);
    dictionary(given);
  }
  if (call.method === 'PATCH') return enable(call, state, given);
  const environment = (await findById(call.session.read, state.environmentId))!;
  const values = validate(OVERRIDE, given, { partial: true });
  const { changes } = await resolve(call, values, environment, state);
  await saving(async () => {
    await updateState(call.session, state, changes);
    await saveAllocations(call, state.id, values);
  });
  return json(await shown(call, state.id));
}

async function enable(call: Call, state: FeatureState, given: Input): Promise<Reply> {
  const { feature = state.featureId, enabled = state.enabled } = validate(ENABLE, given, { partial: true });
  const [found] = await call.session.read('SELECT id FROM features_feature WHERE id = $1 AND deleted_at IS NULL', [
    feature,
  ]);
  if (found === undefined) {
    throw new ValidationError({ feature: [`Invalid pk "${feature}" - object does not exist.`] });
  }
  await updateState(call.session, state, { featureId: feature, enabled });
  return json({ feature, enabled });
}

export async function saveAllocations(
  call: Call,
  stateId: bigint,
  { multivariate_feature_state_values: values }: ReturnType<typeof validate<typeof OVERRIDE>>,
): Promise<void> {
  if (values !== undefined) await setAllocations(call.session, stateId, values);
}

async function remove(call: Call): Promise<Reply> {
  await deleteStates(call.session, 's.id = $1', [(await stateOf(call)).id]);
  return noContent();
}

/** The identity's overrides instead of all its flags: this API evaluates none. */
async function all(call: Call): Promise<Reply> {
  await outerEnvironmentOf(call);
  const id = idOf(call, 'identity', 'Identity');
  if ((await findIdentityById(call.session.read, id)) === undefined) throw notFound('Identity');
  return json(await overridesOf(call, id));
}

async function overridesOf(call: Call, identityId: bigint): Promise<Output[]> {
  const states = await findStates(call.session.read, `s.identity_id = $1 AND ${LIVE}`, [identityId]);
  return Promise.all(
    states.map(async ({ id }): Promise<Output> => {
      const { state, value } = await showState(call.session.read, id);
      const { feature, enabled, multivariate_feature_state_values } = state as Record<string, Output>;
      return {
        feature: { id: feature! },
        enabled: enabled!,
        feature_state_value: scalarValue(value),
        overridden_by: 'IDENTITY',
        segment: null,
        multivariate_feature_state_values: multivariate_feature_state_values!,
      };
    }),
  );
}

/** Source and target may be in any environment, whichever the path names. */
async function clone(call: Call): Promise<Reply> {
  const environment = await findByClientKey(call.session.read, call.parameters['environment']!);
  if (environment === undefined) throw forbidden();
  requirePermission(call, environment.organisationId);
  const { source_identity_id: sourceId } = validate({ source_identity_id: integerField() }, await call.data());
  const target = await findIdentityById(call.session.read, idOf(call, 'identity', 'Identity'));
  const source = BigInt.asIntN(32, sourceId!) === sourceId && (await findIdentityById(call.session.read, sourceId!));
  if (target === undefined || !source) throw notFound('Identity');
  const overrides = (id: bigint) => findStates(call.session.read, 's.identity_id = $1', [id]);
  await cloneStates(call.session, await overrides(source.id), {
    identityId: target.id,
    environmentId: target.environmentId,
    states: await overrides(target.id),
  });
  return json(await overridesOf(call, target.id));
}

/** A bare value: int and bool have their own columns, anything else is text; the other columns stay stale. */
async function setScalar(call: Call, stateId: bigint, value: Value): Promise<void> {
  const type = typeof value === 'bigint' ? 'int' : typeof value === 'boolean' ? 'bool' : 'unicode';
  const column = { int: 'integer_value', bool: 'boolean_value', unicode: 'string_value' }[type];
  const columns = validate(
    VALUE,
    new Map<string, Value>([
      ['type', type],
      [column, value],
    ]),
  );
  await setValue(call.session, stateId, columns);
}

async function shown(call: Call, id: bigint): Promise<Record<string, Output>> {
  const { state, value } = await showState(call.session.read, id);
  return { ...state, feature_state_value: scalarValue(value) };
}

/** These views assign to the data, which a form does not allow: a server error, as in Flagsmith. */
function dictionary(data: Input): Map<string, Value> {
  if (data instanceof Map) return new Map(data);
  throw new TypeError('This QueryDict instance is immutable');
}
