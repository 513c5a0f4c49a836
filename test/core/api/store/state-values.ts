import type { Output } from '../python/json.ts';
import type { Value } from '../python/value.ts';
import type { FeatureState } from './feature-states.ts';
import { createState, deleteStates, updateState } from './feature-states.ts';
import { ModelError, type Query, type Session } from './session.ts';

/** The columns of a value; only given ones are written. */
export interface ValueColumns {
  readonly type?: string;
  readonly string_value?: string | null;
  readonly integer_value?: bigint | null;
  readonly boolean_value?: boolean | null;
}

/** The share of an option. */
export interface Allocation {
  /** Id of the row to update, in any state; undefined for a new one. */
  readonly id?: bigint;
  readonly multivariate_feature_option?: bigint;
  readonly percentage_allocation?: number;
}

/** Columns that are not given are unchanged. */
export async function setValue(session: Session, stateId: bigint, columns: ValueColumns): Promise<void> {
  const names = Object.keys(columns);
  if (names.length === 0) return;
  await session.write(
    `UPDATE features_featurestatevalue SET ${names.map((name, index) => `${name} = $${index + 2}`).join(', ')}
     WHERE feature_state_id = $1`,
    [stateId, ...(Object.values(columns) as Value[])],
  );
}

/**
 * Writes the shares one by one, and then removes the state's other ones. A row given by its id moves to this
 * state from any other.
 *
 * @throws ModelError if the state has a share of that option
 */
export async function setAllocations(session: Session, stateId: bigint, allocations: readonly Allocation[]) {
  const kept: bigint[] = [];
  for (const allocation of allocations) kept.push(await saveAllocation(session, stateId, allocation));
  await session.write(
    'DELETE FROM multivariate_multivariatefeaturestatevalue WHERE feature_state_id = $1 AND id <> ALL ($2)',
    [stateId, kept],
  );
}

async function saveAllocation(session: Session, stateId: bigint, allocation: Allocation): Promise<bigint> {
  const { id = 0n, multivariate_feature_option: option, percentage_allocation: share } = allocation;
  const [taken] = await session.read(
    `SELECT id FROM multivariate_multivariatefeaturestatevalue
     WHERE id <> $1 AND feature_state_id = $2 AND multivariate_feature_option_id = $3`,
    [id, stateId, option!],
  );
  if (taken !== undefined) {
    throw new ModelError(
      "{'__all__': ['Multivariate feature state value with this Feature state and Multivariate feature option already exists.']}",
    );
  }
  const [updated] = await session.write<{ id: bigint }>(
    `UPDATE multivariate_multivariatefeaturestatevalue
     SET feature_state_id = $2, multivariate_feature_option_id = $3, percentage_allocation = $4 WHERE id = $1 RETURNING id`,
    [id, stateId, option!, share!],
  );
  if (updated !== undefined) return id;
  const [created] = await session.write<{ id: bigint }>(
    `INSERT INTO multivariate_multivariatefeaturestatevalue
       (uuid, feature_state_id, multivariate_feature_option_id, percentage_allocation)
     VALUES (gen_random_uuid(), $1, $2, $3) RETURNING id`,
    [stateId, option!, share!],
  );
  return created!.id;
}

/**
 * Makes the target's overrides equal to the source's: removes those that the source lacks, then copies one after
 * another. Shares are added to the target's existing ones.
 */
export async function cloneStates(
  session: Session,
  source: readonly FeatureState[],
  target: { readonly identityId: bigint; readonly environmentId: bigint; readonly states: readonly FeatureState[] },
): Promise<void> {
  const { identityId, environmentId } = target;
  for (const { id, featureId } of target.states) {
    if (!source.some((state) => state.featureId === featureId)) await deleteStates(session, 's.id = $1', [id]);
  }
  for (const { id, featureId, enabled } of source) {
    const state =
      target.states.find((one) => one.featureId === featureId) ??
      (await createState(session, { featureId, environmentId, identityId, enabled: false }));
    await copyAllocations(session, id, state);
    await copyValue(session, id, state.id);
    await updateState(session, state, { enabled });
  }
}

/** All of them or, if the state already has a share of one of these options, none and an error. */
export async function copyAllocations(session: Session, sourceId: bigint, target: { id: bigint; featureId: bigint }) {
  await session.write(
    `INSERT INTO multivariate_multivariatefeaturestatevalue
       (uuid, feature_state_id, multivariate_feature_option_id, percentage_allocation)
     SELECT gen_random_uuid(), $2, multivariate_feature_option_id, percentage_allocation
     FROM multivariate_multivariatefeaturestatevalue
     WHERE feature_state_id = $1 AND (SELECT type FROM features_feature WHERE id = $3) = 'MULTIVARIATE' ORDER BY id`,
    [sourceId, target.id, target.featureId],
  );
}

export async function copyValue(session: Session, sourceId: bigint, targetId: bigint): Promise<void> {
  await session.write(
    `UPDATE features_featurestatevalue AS t SET type = s.type, string_value = s.string_value,
       integer_value = s.integer_value, boolean_value = s.boolean_value
     FROM features_featurestatevalue AS s WHERE t.feature_state_id = $2 AND s.feature_state_id = $1`,
    [sourceId, targetId],
  );
}

/** In the admin routes' format, without the value, whose format depends on the route. */
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

/** The effective value. */
export function scalarValue({ type, string_value, integer_value, boolean_value }: ValueColumns): Value {
  if (type === 'int') return integer_value ?? null;
  return (type === 'bool' ? boolean_value : string_value) ?? null;
}
