import type { Value } from '../python/value.ts';
import { createState, deleteStates, removeStates } from './feature-states.ts';
import type { Query, Session } from './session.ts';
import { createVersion } from './versions.ts';

export interface Feature {
  readonly id: bigint;
  readonly uuid: string;
  readonly name: string;
  readonly type: string;
  readonly initial_value: string | null;
  readonly is_archived: boolean;
  readonly project: bigint;
}

const FEATURE = 'id, uuid, name, type, initial_value, is_archived, project_id AS project';

/** Features that are not deleted, in order of their ids. */
export async function findFeatures(read: Query, condition: string, values: readonly Value[]): Promise<Feature[]> {
  return read<Feature>(
    `SELECT ${FEATURE} FROM features_feature WHERE deleted_at IS NULL AND ${condition} ORDER BY id`,
    values,
  );
}

/** Creates a state in every environment of the project, with a first version there where features have versions. */
export async function createFeature(
  session: Session,
  feature: { projectId: bigint; name: string; type: string; initialValue: string | null; enabled: boolean },
): Promise<Feature> {
  const { projectId, name, type, initialValue, enabled } = feature;
  const [created] = await session.write<Feature>(
    `INSERT INTO features_feature (uuid, project_id, name, type, initial_value, is_archived)
     VALUES (gen_random_uuid(), $1, $2, $3, $4, false) RETURNING ${FEATURE}`,
    [projectId, name, type, initialValue],
  );
  const environments = await session.read<{ id: bigint; versioned: boolean }>(
    `SELECT id, use_v2_feature_versioning AS versioned FROM environments_environment
     WHERE project_id = $1 AND deleted_at IS NULL ORDER BY id`,
    [projectId],
  );
  for (const { id, versioned } of environments) {
    const versionId = versioned ? await createVersion(session, id, created!.id) : null;
    await createState(session, { featureId: created!.id, environmentId: id, enabled, versionId });
  }
  return created!;
}

export async function updateFeature(
  session: Session,
  id: bigint,
  columns: { readonly type?: string; readonly is_archived?: boolean },
): Promise<void> {
  await session.write(
    'UPDATE features_feature SET type = coalesce($2, type), is_archived = coalesce($3, is_archived) WHERE id = $1',
    [id, columns.type ?? null, columns.is_archived ?? null],
  );
}

/** Marks the feature and its states; deletes options and segment overrides for good. */
export async function deleteFeature(session: Session, id: bigint): Promise<void> {
  await session.write('UPDATE features_feature SET deleted_at = now() WHERE id = $1', [id]);
  await session.atomic((query) => removeStates(query, 's.feature_id = $1 AND s.feature_segment_id IS NOT NULL', [id]));
  await deleteStates(session, 's.feature_id = $1', [id]);
  await session.write(
    'UPDATE feature_versioning_environmentfeatureversion SET deleted_at = now() WHERE feature_id = $1 AND deleted_at IS NULL',
    [id],
  );
  await session.atomic(async (query) => {
    const options = 'SELECT id FROM multivariate_multivariatefeatureoption WHERE feature_id = $1';
    await query(
      `DELETE FROM multivariate_multivariatefeaturestatevalue WHERE multivariate_feature_option_id IN (${options})`,
      [id],
    );
    await query('DELETE FROM multivariate_multivariatefeatureoption WHERE feature_id = $1', [id]);
  });
}
