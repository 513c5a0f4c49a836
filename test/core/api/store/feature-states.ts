import { pythonInt, type Value } from '../python/value.ts';
import { ModelError, type Query, type Session } from './session.ts';

export interface FeatureState {
  readonly id: bigint;
  readonly featureId: bigint;
  readonly environmentId: bigint;
  readonly identityId: bigint | null;
  readonly segmentId: bigint | null;
  readonly enabled: boolean;
  readonly liveFrom: string | null;
  readonly version: bigint | null;
  /** The version of the feature that it belongs to, in an environment with feature versioning v2. */
  readonly versionId: string | null;
}

/** The differences of a new state from an environment's own state. */
export interface NewState {
  readonly featureId: bigint;
  readonly environmentId: bigint;
  readonly identityId?: bigint | null;
  readonly segmentId?: bigint | null;
  readonly enabled: boolean;
  readonly liveFrom?: string | null;
  readonly version?: bigint | null;
  readonly versionId?: string | null;
  readonly hashingSalt?: bigint | null;
}

const COLUMNS = `s.id, s.feature_id AS "featureId", s.environment_id AS "environmentId", s.identity_id AS "identityId",
  s.feature_segment_id AS "segmentId", s.enabled, s.live_from AS "liveFrom", s.version,
  s.environment_feature_version_id AS "versionId"`;

/** A row scheduled for later is not live, except in an environment with feature versioning v2. */
export const LIVE = `(s.live_from <= now() AND s.version IS NOT NULL OR s.environment_id IN
  (SELECT id FROM environments_environment WHERE use_v2_feature_versioning))`;

/** Feature states that are not deleted, in order of their ids; `condition` uses `s` and its parameters. */
export async function findStates(read: Query, condition: string, values: readonly Value[]): Promise<FeatureState[]> {
  return read<FeatureState>(
    `SELECT ${COLUMNS} FROM features_featurestate AS s WHERE s.deleted_at IS NULL AND ${condition} ORDER BY s.id`,
    values,
  );
}

/**
 * Creates a feature state, in a second commit its value, which is the feature's initial value, and in a third one, for
 * an environment's own state, the shares of the feature's options.
 *
 * @throws ModelError if the state already exists
 */
export async function createState(session: Session, state: NewState): Promise<FeatureState> {
  const { identityId = null, segmentId = null, version = 1n, versionId = null, liveFrom = null } = state;
  await requireUnique(session.read, { ...state, identityId, segmentId, version, versionId });
  const [created] = await session.write<FeatureState>(
    `INSERT INTO features_featurestate AS s (uuid, feature_id, environment_id, identity_id, feature_segment_id, enabled,
       created_at, updated_at, live_from, version, environment_feature_version_id, mv_hashing_salt)
     SELECT gen_random_uuid(), $1, e.id, $3, $4, $5, now(), now(),
       CASE WHEN e.use_v2_feature_versioning OR $7::int IS NULL THEN $6::timestamptz
         ELSE coalesce($6::timestamptz, now()) END, $7, $8, $9
     FROM environments_environment AS e WHERE e.id = $2 RETURNING ${COLUMNS}`,
    [
      ...[state.featureId, state.environmentId, identityId, segmentId, state.enabled, liveFrom, version, versionId],
      state.hashingSalt ?? null,
    ],
  );
  await createValue(session, created!);
  if (identityId === null && segmentId === null) {
    await session.write(
      `INSERT INTO multivariate_multivariatefeaturestatevalue
         (uuid, feature_state_id, multivariate_feature_option_id, percentage_allocation)
       SELECT gen_random_uuid(), $1, id, default_percentage_allocation
       FROM multivariate_multivariatefeatureoption WHERE feature_id = $2 ORDER BY id`,
      [created!.id, state.featureId],
    );
  }
  return created!;
}

/** The feature's initial value: a text, converted to the type that it looks like. */
async function createValue(session: Session, { id, featureId }: FeatureState): Promise<void> {
  const [feature] = await session.read<{ initial_value: string | null }>(
    'SELECT initial_value FROM features_feature WHERE id = $1',
    [featureId],
  );
  const text = feature?.initial_value ?? null;
  const integer = text === null ? undefined : pythonInt(text);
  const isInteger = integer !== undefined && integer < 2147483647n && integer > -2147483647n;
  const isBoolean = text !== null && ['true', 'True', 'false', 'False'].includes(text);
  await session.write(
    `INSERT INTO features_featurestatevalue (uuid, feature_state_id, type, integer_value, boolean_value, string_value)
     VALUES (gen_random_uuid(), $1, $2, $3, $4, $5)`,
    [
      id,
      isInteger ? 'int' : isBoolean ? 'bool' : 'unicode',
      isInteger ? integer : null,
      isBoolean ? text.toLowerCase() === 'true' : null,
      isInteger || isBoolean ? null : text,
    ],
  );
}

/** Only checked before the write, as in Flagsmith: two concurrent requests get two rows. @throws ModelError */
async function requireUnique(
  read: Query,
  state: Omit<NewState, 'enabled'> & { readonly id?: bigint; readonly version: bigint | null },
): Promise<void> {
  if (state.version === null) return;
  const { id = 0n, featureId, environmentId, identityId = null, segmentId = null, version, versionId = null } = state;
  const existing = await findStates(
    read,
    `s.id <> $1 AND s.feature_id = $2 AND s.environment_id = $3 AND s.identity_id IS NOT DISTINCT FROM $4
       AND s.feature_segment_id IS NOT DISTINCT FROM $5
       AND CASE WHEN (SELECT use_v2_feature_versioning FROM environments_environment WHERE id = $3)
         THEN s.environment_feature_version_id IS NOT DISTINCT FROM $7::uuid ELSE s.version = $6 END`,
    [id, featureId, environmentId, identityId, segmentId, version, versionId],
  );
  if (existing.length === 0) return;
  throw new ModelError(
    "['Feature state already exists for this environment, feature, version, segment & identity combination']",
  );
}

/** @throws ModelError if there is another such state */
export async function updateState(session: Session, state: FeatureState, changes: Partial<FeatureState>) {
  const changed = { ...state, ...changes };
  await requireUnique(session.read, changed);
  await session.write(
    `UPDATE features_featurestate SET feature_id = $2, identity_id = $3, feature_segment_id = $4, enabled = $5,
       live_from = $6, updated_at = now() WHERE id = $1`,
    [state.id, changed.featureId, changed.identityId, changed.segmentId, changed.enabled, changed.liveFrom],
  );
}

/** Marks states and their values, and removes their shares. @param condition on `s` and the values */
export async function deleteStates(session: Session, condition: string, values: readonly Value[]): Promise<void> {
  const states = `(SELECT s.id FROM features_featurestate AS s WHERE s.deleted_at IS NULL AND ${condition})`;
  await session.write(
    `DELETE FROM multivariate_multivariatefeaturestatevalue WHERE feature_state_id IN ${states}`,
    values,
  );
  await session.write(
    `UPDATE features_featurestatevalue SET deleted_at = now() WHERE deleted_at IS NULL AND feature_state_id IN ${states}`,
    values,
  );
  await session.write(
    `UPDATE features_featurestate AS s SET deleted_at = now(), updated_at = now()
     WHERE s.deleted_at IS NULL AND ${condition}`,
    values,
  );
}

/** Removes states for good with all dependent rows; used for those of segments and identities. */
export async function removeStates(query: Query, condition: string, values: readonly Value[]): Promise<void> {
  const states = `feature_state_id IN (SELECT s.id FROM features_featurestate AS s WHERE ${condition})`;
  await query(`DELETE FROM multivariate_multivariatefeaturestatevalue WHERE ${states}`, values);
  await query(`DELETE FROM features_featurestatevalue WHERE ${states}`, values);
  await query(`DELETE FROM features_featurestate AS s WHERE ${condition}`, values);
}

/**
 * The environment of a segment override; segments have no table here, so one exists if a feature state names it.
 */
export async function findSegmentEnvironment(read: Query, segmentId: bigint): Promise<bigint | undefined> {
  const [state] = await findStates(read, 's.feature_segment_id = $1', [segmentId]);
  return state?.environmentId;
}
