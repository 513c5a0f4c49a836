import type { Output } from '../python/json.ts';
import type { Value } from '../python/value.ts';
import type { Query, Session } from './session.ts';

export interface FeatureState {
  readonly id: bigint;
  readonly featureId: bigint;
  readonly environmentId: bigint;
  readonly identityId: bigint | null;
  readonly enabled: boolean;
}

/** The columns of a value; only those given are written. */
export interface ValueColumns {
  readonly type?: string;
  readonly string_value?: string | null;
  readonly integer_value?: bigint | null;
  readonly boolean_value?: boolean | null;
}

export interface Allocation {
  /** Id of the row to update; a new one without. */
  readonly id?: bigint;
  readonly multivariate_feature_option?: bigint;
  readonly percentage_allocation?: number;
}

const COLUMNS =
  's.id, s.feature_id AS "featureId", s.environment_id AS "environmentId", s.identity_id AS "identityId", s.enabled';

/** A row that waits for its time is not found, except in an environment with feature versioning v2. */
const LIVE = `s.deleted_at IS NULL AND (s.live_from <= now() AND s.version IS NOT NULL OR s.environment_id IN
  (SELECT id FROM environments_environment WHERE use_v2_feature_versioning))`;

/** Live feature states in order of their ids; `condition` speaks of `s` and of its parameters. */
export async function findStates(read: Query, condition: string, values: readonly Value[]): Promise<FeatureState[]> {
  return read<FeatureState>(
    `SELECT ${COLUMNS} FROM features_featurestate AS s WHERE ${LIVE} AND ${condition} ORDER BY s.id`,
    values,
  );
}

/**
 * Creates a feature state and, in a second commit, its value: what the feature starts with.
 * In an environment with feature versioning v2 it has no `live_from`.
 */
export async function createState(
  session: Session,
  state: {
    featureId: bigint;
    environmentId: bigint;
    identityId: bigint | null;
    enabled: boolean;
    liveFrom: string | null;
  },
): Promise<FeatureState> {
  const [created] = await session.write<FeatureState>(
    `INSERT INTO features_featurestate AS s
       (uuid, feature_id, environment_id, identity_id, enabled, created_at, updated_at, live_from, version)
     SELECT gen_random_uuid(), $1, e.id, $3, $4, now(), now(),
       CASE WHEN e.use_v2_feature_versioning THEN $5::timestamptz ELSE coalesce($5::timestamptz, now()) END, 1
     FROM environments_environment AS e WHERE e.id = $2 RETURNING ${COLUMNS}`,
    [state.featureId, state.environmentId, state.identityId, state.enabled, state.liveFrom],
  );
  await session.write(
    `INSERT INTO features_featurestatevalue (uuid, feature_state_id, type, string_value)
     SELECT gen_random_uuid(), $1, 'unicode', initial_value FROM features_feature WHERE id = $2`,
    [created!.id, state.featureId],
  );
  return created!;
}

export async function updateState(
  session: Session,
  id: bigint,
  changes: { featureId?: bigint; identityId?: bigint; enabled?: boolean; liveFrom?: string | null },
): Promise<void> {
  const { featureId = null, identityId = null, enabled = null, liveFrom = null } = changes;
  await session.write(
    `UPDATE features_featurestate SET feature_id = coalesce($2, feature_id), identity_id = coalesce($3, identity_id),
       enabled = coalesce($4, enabled), live_from = CASE WHEN $6 THEN $5::timestamptz ELSE live_from END,
       updated_at = now() WHERE id = $1`,
    [id, featureId, identityId, enabled, liveFrom, 'liveFrom' in changes],
  );
}

/** Columns that are not given keep what they had. */
export async function setValue(session: Session, stateId: bigint, columns: ValueColumns): Promise<void> {
  const { type = 'unicode', ...values } = columns;
  const names = Object.keys(values);
  await session.write(
    `INSERT INTO features_featurestatevalue (uuid, feature_state_id, type${names.map((name) => `, ${name}`).join('')})
     VALUES (gen_random_uuid(), $1, $2${names.map((_, index) => `, $${index + 3}`).join('')})
     ON CONFLICT (feature_state_id) DO UPDATE SET type = EXCLUDED.type
       ${names.map((name) => `, ${name} = EXCLUDED.${name}`).join('')}`,
    [stateId, type, ...(Object.values(values) as Value[])],
  );
}

/** Rows that are not among the given ones go. */
export async function setAllocations(session: Session, stateId: bigint, allocations: readonly Allocation[]) {
  const kept = allocations.flatMap(({ id }) => (id === undefined ? [] : [id]));
  await session.write(
    'DELETE FROM multivariate_multivariatefeaturestatevalue WHERE feature_state_id = $1 AND id <> ALL ($2)',
    [stateId, kept],
  );
  for (const { multivariate_feature_option: option, percentage_allocation: share } of allocations) {
    await session.write(
      `INSERT INTO multivariate_multivariatefeaturestatevalue
         (uuid, feature_state_id, multivariate_feature_option_id, percentage_allocation)
       VALUES (gen_random_uuid(), $1, $2, $3)
       ON CONFLICT (feature_state_id, multivariate_feature_option_id)
         DO UPDATE SET percentage_allocation = EXCLUDED.percentage_allocation`,
      [stateId, option!, share!],
    );
  }
}

/** Marks the state and its value. */
export async function deleteState(session: Session, id: bigint): Promise<void> {
  await session.write('UPDATE features_featurestatevalue SET deleted_at = now() WHERE feature_state_id = $1', [id]);
  await session.write('UPDATE features_featurestate SET deleted_at = now() WHERE id = $1', [id]);
}

/** Makes the target's overrides those of the source: first those go that the source has not, then one after another. */
export async function cloneStates(
  session: Session,
  source: readonly FeatureState[],
  target: { readonly identityId: bigint; readonly environmentId: bigint; readonly states: readonly FeatureState[] },
): Promise<void> {
  for (const state of target.states) {
    if (!source.some(({ featureId }) => featureId === state.featureId)) await deleteState(session, state.id);
  }
  for (const { id, featureId, enabled } of source) {
    const { identityId, environmentId } = target;
    const existing = target.states.find((state) => state.featureId === featureId);
    const state =
      existing ?? (await createState(session, { featureId, environmentId, identityId, enabled, liveFrom: null }));
    await updateState(session, state.id, { enabled });
    await session.write(
      `UPDATE features_featurestatevalue AS t SET type = s.type, string_value = s.string_value,
         integer_value = s.integer_value, boolean_value = s.boolean_value
       FROM features_featurestatevalue AS s WHERE t.feature_state_id = $1 AND s.feature_state_id = $2`,
      [state.id, id],
    );
    await setAllocations(session, state.id, await listAllocations(session.read, id));
  }
}

async function listAllocations(read: Query, stateId: bigint): Promise<Allocation[]> {
  return read<Allocation>(
    `SELECT multivariate_feature_option_id AS multivariate_feature_option, percentage_allocation
     FROM multivariate_multivariatefeaturestatevalue WHERE feature_state_id = $1 ORDER BY id`,
    [stateId],
  );
}

/** As the admin routes answer it, without the value, whose form depends on the route. */
export async function showState(
  read: Query,
  id: bigint,
): Promise<{ state: Record<string, Output>; value: ValueColumns }> {
  const [state] = await read<Record<string, Value>>(
    `SELECT id, uuid, enabled, created_at, updated_at, live_from, version, deleted_at, feature_id AS feature,
       environment_id AS environment, identity_id AS identity, feature_segment_id AS feature_segment,
       change_request_id AS change_request, environment_feature_version_id AS environment_feature_version
     FROM features_featurestate WHERE id = $1`,
    [id],
  );
  const [value] = await read<ValueColumns>(
    'SELECT type, string_value, integer_value, boolean_value FROM features_featurestatevalue WHERE feature_state_id = $1',
    [id],
  );
  const allocations = await read<Record<string, Value>>(
    `SELECT id, multivariate_feature_option_id AS multivariate_feature_option, percentage_allocation
     FROM multivariate_multivariatefeaturestatevalue WHERE feature_state_id = $1 ORDER BY id`,
    [id],
  );
  return { state: { ...state, multivariate_feature_state_values: allocations }, value: value ?? {} };
}

/** The value that counts. */
export function scalarValue({ type, string_value, integer_value, boolean_value }: ValueColumns): Value {
  if (type === 'int') return integer_value ?? null;
  return (type === 'bool' ? boolean_value : string_value) ?? null;
}
