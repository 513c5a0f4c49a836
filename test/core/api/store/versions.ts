import { LIVE } from './feature-states.ts';
import type { Session } from './session.ts';

/** A version of a feature in an environment, live at once. @returns its uuid */
export async function createVersion(session: Session, environmentId: bigint, featureId: bigint): Promise<string> {
  const [version] = await session.write<{ uuid: string }>(
    `INSERT INTO feature_versioning_environmentfeatureversion (uuid, environment_id, feature_id, published_at, live_from)
     VALUES (gen_random_uuid(), $1, $2, now(), now()) RETURNING uuid`,
    [environmentId, featureId],
  );
  return version!.uuid;
}

/** A first version of every feature, to which the environment's own states then belong. */
export async function enableVersioning(session: Session, id: bigint): Promise<void> {
  const features = await session.read<{ id: bigint }>(
    `SELECT f.id FROM features_feature AS f JOIN environments_environment AS e USING (project_id)
     WHERE e.id = $1 AND f.deleted_at IS NULL ORDER BY f.id`,
    [id],
  );
  for (const feature of features) {
    const version = await createVersion(session, id, feature.id);
    await session.write(
      `UPDATE features_featurestate AS s SET environment_feature_version_id = $3
       WHERE s.environment_id = $1 AND s.feature_id = $2 AND s.identity_id IS NULL AND s.deleted_at IS NULL AND ${LIVE}`,
      [id, feature.id, version],
    );
  }
  await session.write('UPDATE environments_environment SET use_v2_feature_versioning = true WHERE id = $1', [id]);
}

/** Makes every state live at once: `version` 1, `live_from` now. */
export async function disableVersioning(session: Session, id: bigint): Promise<void> {
  await session.write(
    `UPDATE features_featurestate SET version = 1, live_from = now(), environment_feature_version_id = NULL
     WHERE environment_id = $1 AND deleted_at IS NULL`,
    [id],
  );
  await session.write(
    'UPDATE feature_versioning_environmentfeatureversion SET deleted_at = now() WHERE environment_id = $1 AND deleted_at IS NULL',
    [id],
  );
  await session.write('UPDATE environments_environment SET use_v2_feature_versioning = false WHERE id = $1', [id]);
}
