import type { Query, Session } from './session.ts';

export interface Environment {
  readonly id: bigint;
  readonly apiKey: string;
  readonly name: string;
  readonly projectId: bigint;
  readonly allowClientTraits: boolean;
  readonly hideSensitiveData: boolean;
  readonly versioned: boolean;
  /** Seconds since the epoch. */
  readonly updatedAt: number;
  readonly persistTraitData: boolean;
  readonly stopServingFlags: boolean;
}

const COLUMNS = `
  e.id, e.api_key AS "apiKey", e.name, e.project_id AS "projectId", e.allow_client_traits AS "allowClientTraits",
  e.hide_sensitive_data AS "hideSensitiveData", e.use_v2_feature_versioning AS versioned,
  extract(epoch FROM e.updated_at)::double precision AS "updatedAt",
  o.persist_trait_data AS "persistTraitData", o.stop_serving_flags AS "stopServingFlags"`;

const TABLES = `
  environments_environment AS e JOIN projects_project AS p ON p.id = e.project_id
  JOIN organisations_organisation AS o ON o.id = p.organisation_id`;

/** The environment of a client or server key, unless deleted; whether a server key is active or expired is not asked. */
export async function findByKey(read: Query, key: string): Promise<Environment | undefined> {
  const [environment] = await read<Environment>(
    `SELECT ${COLUMNS} FROM ${TABLES}
     WHERE e.deleted_at IS NULL
       AND (e.api_key = $1 OR e.id = (SELECT environment_id FROM environments_environmentapikey WHERE key = $1))`,
    [key],
  );
  return environment;
}

/** As the admin routes name it: by client key only. */
export async function findByClientKey(read: Query, key: string): Promise<Environment | undefined> {
  const [environment] = await read<Environment>(
    `SELECT ${COLUMNS} FROM ${TABLES} WHERE e.deleted_at IS NULL AND e.api_key = $1`,
    [key],
  );
  return environment;
}

export async function updateEnvironment(
  session: Session,
  id: bigint,
  changes: { name?: string; apiKey?: string; allowClientTraits?: boolean; hideSensitiveData?: boolean },
): Promise<void> {
  const { name = null, apiKey = null, allowClientTraits = null, hideSensitiveData = null } = changes;
  await session.write(
    `UPDATE environments_environment SET name = coalesce($2, name), api_key = coalesce($3, api_key),
       allow_client_traits = coalesce($4, allow_client_traits), hide_sensitive_data = coalesce($5, hide_sensitive_data),
       updated_at = now() WHERE id = $1`,
    [id, name, apiKey, allowClientTraits, hideSensitiveData],
  );
}

/** Deletes what hangs on the environment for good, table by table and each in its own transaction, and then marks it. */
export async function deleteEnvironment(session: Session, id: bigint): Promise<void> {
  const states = 'feature_state_id IN (SELECT id FROM features_featurestate WHERE environment_id = $1)';
  const identities = 'identity_id IN (SELECT id FROM environments_identity WHERE environment_id = $1)';
  await session.write('DELETE FROM environments_environmentapikey WHERE environment_id = $1', [id]);
  await session.write(`DELETE FROM environments_trait WHERE ${identities}`, [id]);
  await session.atomic(async (query) => {
    await query(`DELETE FROM multivariate_multivariatefeaturestatevalue WHERE ${states}`, [id]);
    await query(`DELETE FROM features_featurestatevalue WHERE ${states}`, [id]);
    await query(`DELETE FROM features_featurestate WHERE environment_id = $1 OR ${identities}`, [id]);
  });
  await session.write('DELETE FROM environments_identity WHERE environment_id = $1', [id]);
  await session.write('UPDATE environments_environment SET deleted_at = now(), updated_at = now() WHERE id = $1', [id]);
}

/** Marks the project; its environments follow in a background task. @returns ids of these environments */
export async function deleteProject(session: Session, projectId: bigint): Promise<bigint[] | undefined> {
  const [deleted] = await session.write(
    'UPDATE projects_project SET deleted_at = now() WHERE id = $1 AND deleted_at IS NULL RETURNING id',
    [projectId],
  );
  if (deleted === undefined) return undefined;
  const rows = await session.read<{ id: bigint }>(
    'SELECT id FROM environments_environment WHERE project_id = $1 AND deleted_at IS NULL ORDER BY id',
    [projectId],
  );
  return rows.map(({ id }) => id);
}

export async function enableVersioning(session: Session, id: bigint): Promise<void> {
  await session.write(
    `INSERT INTO feature_versioning_environmentfeatureversion (uuid, environment_id, feature_id, published_at, live_from)
     SELECT gen_random_uuid(), $1, f.id, now(), now()
     FROM features_feature AS f JOIN environments_environment AS e USING (project_id)
     WHERE e.id = $1 AND f.deleted_at IS NULL`,
    [id],
  );
  await session.write('UPDATE environments_environment SET use_v2_feature_versioning = true WHERE id = $1', [id]);
}

/** Makes every override live at once: `version` 1, `live_from` now. */
export async function disableVersioning(session: Session, id: bigint): Promise<void> {
  await session.write(
    `UPDATE features_featurestate SET version = 1, live_from = now(), environment_feature_version_id = NULL
     WHERE environment_id = $1 AND identity_id IS NOT NULL AND deleted_at IS NULL`,
    [id],
  );
  await session.write('UPDATE environments_environment SET use_v2_feature_versioning = false WHERE id = $1', [id]);
}
