import { randomBytes } from 'node:crypto';
import type { Value } from '../python/value.ts';
import { createState, deleteStates, findStates, LIVE, removeStates } from './feature-states.ts';
import type { Query, Session } from './session.ts';
import { copyAllocations, copyValue } from './state-values.ts';
import { createVersion } from './versions.ts';

export interface Environment {
  readonly id: bigint;
  readonly apiKey: string;
  readonly name: string;
  readonly projectId: bigint;
  readonly organisationId: bigint;
  readonly allowClientTraits: boolean;
  readonly hideSensitiveData: boolean;
  readonly versioned: boolean;
  /** Seconds since the epoch. */
  readonly updatedAt: number;
  readonly persistTraitData: boolean;
  readonly stopServingFlags: boolean;
}

const COLUMNS = `
  e.id, e.api_key AS "apiKey", e.name, e.project_id AS "projectId", p.organisation_id AS "organisationId",
  e.allow_client_traits AS "allowClientTraits", e.hide_sensitive_data AS "hideSensitiveData",
  e.use_v2_feature_versioning AS versioned, extract(epoch FROM e.updated_at)::double precision AS "updatedAt",
  o.persist_trait_data AS "persistTraitData", o.stop_serving_flags AS "stopServingFlags"`;

const TABLES = `
  environments_environment AS e JOIN projects_project AS p ON p.id = e.project_id
  JOIN organisations_organisation AS o ON o.id = p.organisation_id`;

async function find(read: Query, condition: string, value: Value): Promise<Environment | undefined> {
  const [environment] = await read<Environment>(
    `SELECT ${COLUMNS} FROM ${TABLES} WHERE e.deleted_at IS NULL AND ${condition}`,
    [value],
  );
  return environment;
}

/** The environment of a client or server key, unless deleted; ignores whether a server key is active or expired. */
export const findByKey = (read: Query, key: string) =>
  find(
    read,
    '(e.api_key = $1 OR e.id = (SELECT environment_id FROM environments_environmentapikey WHERE key = $1))',
    key,
  );

/** In the admin routes' form: by client key only. */
export const findByClientKey = (read: Query, key: string) => find(read, 'e.api_key = $1', key);

export const findById = (read: Query, id: bigint) => find(read, 'e.id = $1', id);

/** The settable fields of an environment; the names are those of columns. */
export interface EnvironmentColumns {
  readonly name?: string;
  readonly api_key?: string;
  readonly allow_client_traits?: boolean;
  readonly hide_sensitive_data?: boolean;
  readonly hide_disabled_flags?: boolean | null;
  readonly use_mv_v2_evaluation?: boolean;
  readonly use_identity_overrides_in_local_eval?: boolean;
}

export async function updateEnvironment(session: Session, id: bigint, columns: EnvironmentColumns): Promise<void> {
  const assignments = Object.keys(columns).map((name, index) => `${name} = $${index + 2}`);
  await session.write(`UPDATE environments_environment SET ${['id = id', ...assignments].join(', ')} WHERE id = $1`, [
    id,
    ...(Object.values(columns) as Value[]),
  ]);
}

/** In the admin routes' format. */
export async function showEnvironment(read: Query, id: bigint): Promise<Record<string, Value>> {
  const [environment] = await read(
    `SELECT id, uuid, name, api_key, project_id AS project, allow_client_traits, hide_disabled_flags,
       use_mv_v2_evaluation, use_mv_v2_evaluation AS use_identity_composite_key_for_hashing, hide_sensitive_data,
       use_v2_feature_versioning, use_identity_overrides_in_local_eval, is_creating
     FROM environments_environment WHERE id = $1`,
    [id],
  );
  return environment!;
}

/** Includes a state of every feature of the project. */
export async function createEnvironment(
  session: Session,
  projectId: bigint,
  columns: EnvironmentColumns & { readonly name: string },
): Promise<bigint> {
  const [created] = await session.write<{ id: bigint }>(
    `INSERT INTO environments_environment (uuid, name, project_id, api_key, allow_client_traits, use_mv_v2_evaluation,
       use_v2_feature_versioning, use_identity_overrides_in_local_eval, hide_sensitive_data, updated_at, is_creating)
     VALUES (gen_random_uuid(), $1, $2, $3, true, true, false, true, false, now(), false) RETURNING id`,
    [columns.name, projectId, columns.api_key ?? generateKey()],
  );
  await updateEnvironment(session, created!.id, columns);
  const features = await session.read<{ id: bigint; enabled: boolean }>(FEATURES_WITH_DEFAULTS, [projectId]);
  for (const { id, enabled } of features) {
    await createState(session, { featureId: id, environmentId: created!.id, enabled });
  }
  return created!.id;
}

/** Whether a feature starts enabled is not a column here, but its first state was created like that. */
const FEATURES_WITH_DEFAULTS = `
  SELECT f.id, coalesce((SELECT enabled FROM features_featurestate WHERE feature_id = f.id ORDER BY id LIMIT 1), false) AS enabled
  FROM features_feature AS f WHERE f.project_id = $1 AND f.deleted_at IS NULL ORDER BY f.id`;

/** Copies the environment's row under another name and key; {@link cloneEnvironmentStates} copies its states. */
export async function cloneEnvironment(session: Session, sourceId: bigint, name: string): Promise<bigint> {
  const [clone] = await session.write<{ id: bigint }>(
    `INSERT INTO environments_environment (uuid, name, project_id, api_key, allow_client_traits, use_mv_v2_evaluation,
       use_v2_feature_versioning, use_identity_overrides_in_local_eval, hide_sensitive_data, hide_disabled_flags,
       updated_at, is_creating)
     SELECT gen_random_uuid(), $2, project_id, $3, allow_client_traits, use_mv_v2_evaluation, use_v2_feature_versioning,
       use_identity_overrides_in_local_eval, hide_sensitive_data, hide_disabled_flags, updated_at, true
     FROM environments_environment WHERE id = $1 RETURNING id`,
    [sourceId, name, generateKey()],
  );
  return clone!.id;
}

/** The source's live states that belong to no identity; a segment override gets its own segment. */
export async function cloneEnvironmentStates(session: Session, sourceId: bigint, cloneId: bigint): Promise<void> {
  const clone = (await findById(session.read, cloneId))!;
  const states = await findStates(session.read, `s.environment_id = $1 AND s.identity_id IS NULL AND ${LIVE}`, [
    sourceId,
  ]);
  const versions = new Map<bigint, string>();
  for (const state of states) {
    const { featureId } = state;
    if (clone.versioned && !versions.has(featureId)) {
      versions.set(featureId, await createVersion(session, cloneId, featureId));
    }
    const copy = await cloneState(session, state.id, cloneId, versions.get(featureId) ?? null);
    await copyValue(session, state.id, copy);
    await copyAllocations(session, state.id, { id: copy, featureId });
  }
  await session.write('UPDATE environments_environment SET is_creating = false WHERE id = $1', [cloneId]);
}

async function cloneState(session: Session, sourceId: bigint, environmentId: bigint, versionId: string | null) {
  const [state] = await session.write<{ id: bigint }>(
    `INSERT INTO features_featurestate (uuid, feature_id, environment_id, feature_segment_id, enabled, created_at,
       updated_at, live_from, version, environment_feature_version_id, mv_hashing_salt)
     SELECT gen_random_uuid(), feature_id, $2,
       CASE WHEN feature_segment_id IS NOT NULL THEN (SELECT max(feature_segment_id) + 1 FROM features_featurestate) END,
       enabled, now(), now(), CASE WHEN $3::uuid IS NULL THEN now() END, CASE WHEN $3::uuid IS NULL THEN 1 END, $3,
       coalesce(mv_hashing_salt, id)
     FROM features_featurestate WHERE id = $1 RETURNING id`,
    [sourceId, environmentId, versionId],
  );
  await session.write(
    `INSERT INTO features_featurestatevalue (uuid, feature_state_id, type) VALUES (gen_random_uuid(), $1, 'unicode')`,
    [state!.id],
  );
  return state!.id;
}

/** Deletes identities and keys for good, table by table, each in its own transaction, and marks the rest. */
export async function deleteEnvironment(session: Session, id: bigint): Promise<void> {
  const identities = 'identity_id IN (SELECT id FROM environments_identity WHERE environment_id = $1)';
  await session.write('UPDATE environments_environment SET deleted_at = now() WHERE id = $1', [id]);
  await session.write('DELETE FROM environments_environmentapikey WHERE environment_id = $1', [id]);
  await session.write(`DELETE FROM environments_trait WHERE ${identities}`, [id]);
  await session.atomic((query) =>
    removeStates(
      query,
      `(s.environment_id = $1 AND (s.identity_id IS NOT NULL OR s.feature_segment_id IS NOT NULL) OR s.${identities})`,
      [id],
    ),
  );
  await session.write('DELETE FROM environments_identity WHERE environment_id = $1', [id]);
  await deleteStates(session, 's.environment_id = $1', [id]);
  await session.write(
    'UPDATE feature_versioning_environmentfeatureversion SET deleted_at = now() WHERE environment_id = $1 AND deleted_at IS NULL',
    [id],
  );
}

export interface ServerKeyColumns {
  readonly name?: string;
  readonly active?: boolean;
  readonly expires_at?: string | null;
}

const SERVER_KEY = 'id, key, active, created_at, name, expires_at';

export async function listServerKeys(read: Query, environmentId: bigint): Promise<Record<string, Value>[]> {
  return read(`SELECT ${SERVER_KEY} FROM environments_environmentapikey WHERE environment_id = $1 ORDER BY id`, [
    environmentId,
  ]);
}

export async function createServerKey(session: Session, environmentId: bigint, columns: ServerKeyColumns) {
  const [created] = await session.write(
    `INSERT INTO environments_environmentapikey (key, name, environment_id, created_at, active, expires_at)
     VALUES ($1, $2, $3, now(), $4, $5) RETURNING ${SERVER_KEY}`,
    [`ser.${generateKey()}`, columns.name!, environmentId, columns.active ?? true, columns.expires_at ?? null],
  );
  return created!;
}

export async function updateServerKey(session: Session, id: bigint, columns: ServerKeyColumns) {
  const assignments = Object.keys(columns).map((name, index) => `${name} = $${index + 2}`);
  const [updated] = await session.write(
    `UPDATE environments_environmentapikey SET ${['id = id', ...assignments].join(', ')} WHERE id = $1
     RETURNING ${SERVER_KEY}`,
    [id, ...(Object.values(columns) as Value[])],
  );
  return updated!;
}

export async function deleteServerKey(session: Session, id: bigint): Promise<void> {
  await session.write('DELETE FROM environments_environmentapikey WHERE id = $1', [id]);
}

const ALPHABET = '23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

function generateKey(): string {
  return Array.from(randomBytes(22), (byte) => ALPHABET[byte % ALPHABET.length]).join('');
}
