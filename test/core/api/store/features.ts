import type { Value } from '../python/value.ts';
import type { Query, Session } from './session.ts';

export interface OptionColumns {
  readonly type?: string;
  readonly string_value?: string | null;
  readonly integer_value?: bigint | null;
  readonly boolean_value?: boolean | null;
  readonly default_percentage_allocation?: number;
  readonly key?: string | null;
}

export async function findFeature(
  read: Query,
  projectId: bigint,
  id: bigint,
): Promise<Record<string, Value> | undefined> {
  const [feature] = await read(
    `SELECT id, uuid, name, type, initial_value, is_archived, project_id AS project FROM features_feature
     WHERE project_id = $1 AND id = $2 AND deleted_at IS NULL`,
    [projectId, id],
  );
  return feature;
}

/** Marks all of its states with their values, then the feature: three commits. */
export async function deleteFeature(session: Session, id: bigint): Promise<void> {
  await session.write(
    `UPDATE features_featurestatevalue SET deleted_at = now() WHERE deleted_at IS NULL
       AND feature_state_id IN (SELECT id FROM features_featurestate WHERE feature_id = $1)`,
    [id],
  );
  await session.write(
    'UPDATE features_featurestate SET deleted_at = now() WHERE feature_id = $1 AND deleted_at IS NULL',
    [id],
  );
  await session.write('UPDATE features_feature SET deleted_at = now() WHERE id = $1', [id]);
}

const OPTION = `id, uuid, type, integer_value, string_value, boolean_value, default_percentage_allocation, key,
  feature_id AS feature`;

export async function listOptions(read: Query, featureId: bigint): Promise<Record<string, Value>[]> {
  return read(`SELECT ${OPTION} FROM multivariate_multivariatefeatureoption WHERE feature_id = $1 ORDER BY id`, [
    featureId,
  ]);
}

/** The first option makes the feature multivariate; the environments' own states get it, identities' overrides do not. */
export async function createOption(session: Session, featureId: bigint, option: OptionColumns) {
  const { type = 'unicode', default_percentage_allocation = 100, ...columns } = option;
  const [created] = await session.write(
    `INSERT INTO multivariate_multivariatefeatureoption
       (uuid, feature_id, type, default_percentage_allocation, string_value, integer_value, boolean_value, key)
     VALUES (gen_random_uuid(), $1, $2, $3, $4, $5, $6, $7) RETURNING ${OPTION}`,
    [featureId, type, default_percentage_allocation, ...optional(columns)],
  );
  await session.write("UPDATE features_feature SET type = 'MULTIVARIATE' WHERE id = $1", [featureId]);
  await session.write(
    `INSERT INTO multivariate_multivariatefeaturestatevalue
       (uuid, feature_state_id, multivariate_feature_option_id, percentage_allocation)
     SELECT gen_random_uuid(), id, $2, $3 FROM features_featurestate
     WHERE feature_id = $1 AND identity_id IS NULL AND feature_segment_id IS NULL AND deleted_at IS NULL`,
    [featureId, created!['id']!, default_percentage_allocation],
  );
  return created!;
}

export async function updateOption(session: Session, id: bigint, option: OptionColumns) {
  const names = Object.keys(option);
  const assignments = ['id = id', ...names.map((name, index) => `${name} = $${index + 2}`)];
  const [updated] = await session.write(
    `UPDATE multivariate_multivariatefeatureoption SET ${assignments.join(', ')} WHERE id = $1 RETURNING ${OPTION}`,
    [id, ...(Object.values(option) as Value[])],
  );
  return updated!;
}

/** With all shares of it, in one transaction; without options the feature is a standard one again. */
export async function deleteOption(session: Session, featureId: bigint, id: bigint): Promise<void> {
  await session.atomic(async (query) => {
    const shares = 'multivariate_multivariatefeaturestatevalue WHERE multivariate_feature_option_id = $1';
    await query(`DELETE FROM ${shares}`, [id]);
    await query('DELETE FROM multivariate_multivariatefeatureoption WHERE id = $1', [id]);
  });
  await session.write(
    `UPDATE features_feature SET type = 'STANDARD' WHERE id = $1
       AND NOT EXISTS (SELECT FROM multivariate_multivariatefeatureoption WHERE feature_id = $1)`,
    [featureId],
  );
}

function optional({ string_value = null, integer_value = null, boolean_value = null, key = null }: OptionColumns) {
  return [string_value, integer_value, boolean_value, key];
}
