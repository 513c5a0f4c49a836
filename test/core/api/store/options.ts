import type { Value } from '../python/value.ts';
import type { Query, Session } from './session.ts';

export interface OptionColumns {
  readonly type?: string;
  readonly string_value?: string | null;
  readonly integer_value?: bigint | null;
  readonly boolean_value?: boolean | null;
  readonly default_percentage_allocation?: number;
  readonly key?: string | null;
  /** The feature that it belongs or moves to. */
  readonly feature_id?: bigint;
}

export type Option = Record<string, Value> & { readonly id: bigint };

const OPTION = `id, uuid, type, integer_value, string_value, boolean_value, default_percentage_allocation, key,
  feature_id AS feature`;

export async function listOptions(read: Query, featureId: bigint): Promise<Option[]> {
  return read<Option>(
    `SELECT ${OPTION} FROM multivariate_multivariatefeatureoption WHERE feature_id = $1 ORDER BY id`,
    [featureId],
  );
}

/** The first of these ids without an option in any feature. */
export async function findMissingOption(read: Query, ids: readonly bigint[]): Promise<bigint | undefined> {
  const found = await read<{ id: bigint }>(
    'SELECT id FROM multivariate_multivariatefeatureoption WHERE id = ANY ($1)',
    [ids],
  );
  return ids.find((id) => !found.some((option) => option.id === id));
}

/** The environments' own states get a share of it, identities' overrides do not; the feature becomes multivariate. */
export async function createOption(
  session: Session,
  featureId: bigint,
  { type = 'unicode', default_percentage_allocation = 100, ...columns }: OptionColumns,
): Promise<Option> {
  const { string_value = null, integer_value = null, boolean_value = null, key = null } = columns;
  const [created] = await session.write<Option>(
    `INSERT INTO multivariate_multivariatefeatureoption
       (uuid, feature_id, type, default_percentage_allocation, string_value, integer_value, boolean_value, key)
     VALUES (gen_random_uuid(), $1, $2, $3, $4, $5, $6, $7) RETURNING ${OPTION}`,
    [featureId, type, default_percentage_allocation, string_value, integer_value, boolean_value, key],
  );
  await session.write(
    `INSERT INTO multivariate_multivariatefeaturestatevalue
       (uuid, feature_state_id, multivariate_feature_option_id, percentage_allocation)
     SELECT gen_random_uuid(), id, $2, $3 FROM features_featurestate
     WHERE feature_id = $1 AND identity_id IS NULL AND feature_segment_id IS NULL AND deleted_at IS NULL ORDER BY id`,
    [featureId, created!.id, default_percentage_allocation],
  );
  await session.write("UPDATE features_feature SET type = 'MULTIVARIATE' WHERE id = $1", [featureId]);
  return created!;
}

/** @returns undefined if the option does not exist */
export async function updateOption(session: Session, id: bigint, columns: OptionColumns): Promise<Option | undefined> {
  const assignments = Object.keys(columns).map((name, index) => `${name} = $${index + 2}`);
  const [updated] = await session.write<Option>(
    `UPDATE multivariate_multivariatefeatureoption SET ${['id = id', ...assignments].join(', ')} WHERE id = $1
     RETURNING ${OPTION}`,
    [id, ...(Object.values(columns) as Value[])],
  );
  return updated;
}

/** Deletes options and all shares of them, in one transaction; the feature stays multivariate. */
export async function deleteOptions(session: Session, ids: readonly bigint[]): Promise<void> {
  await session.atomic(async (query) => {
    const shares = 'multivariate_multivariatefeaturestatevalue WHERE multivariate_feature_option_id = ANY ($1)';
    await query(`DELETE FROM ${shares}`, [ids]);
    await query('DELETE FROM multivariate_multivariatefeatureoption WHERE id = ANY ($1)', [ids]);
  });
}

/** Like {@link deleteOptions}, after which a feature without options is a standard one again. */
export async function deleteOption(session: Session, featureId: bigint, id: bigint): Promise<void> {
  await deleteOptions(session, [id]);
  await session.write(
    `UPDATE features_feature SET type = 'STANDARD' WHERE id = $1
       AND NOT EXISTS (SELECT FROM multivariate_multivariatefeatureoption WHERE feature_id = $1)`,
    [featureId],
  );
}

/**
 * The totals that a new option of the feature would exceed: the others' defaults, or the shares in one environment.
 *
 * @param exceptId the option to be changed; then only the defaults count
 */
export async function exceedsHundred(
  read: Query,
  featureId: bigint,
  share: number,
  exceptId?: bigint,
): Promise<boolean> {
  const [row] = await read<{ defaults: number; most: number }>(
    `SELECT coalesce((SELECT sum(default_percentage_allocation) FROM multivariate_multivariatefeatureoption
         WHERE feature_id = $1 AND id <> $2), 0) AS defaults,
       coalesce((SELECT max(total) FROM (SELECT sum(a.percentage_allocation) AS total
         FROM features_featurestate AS s
         JOIN multivariate_multivariatefeaturestatevalue AS a ON a.feature_state_id = s.id
         WHERE s.feature_id = $1 AND s.identity_id IS NULL AND s.feature_segment_id IS NULL AND s.deleted_at IS NULL
         GROUP BY s.id) AS totals), 0) AS most`,
    [featureId, exceptId ?? 0n],
  );
  const { defaults, most } = row!;
  return defaults + share > 100 || (exceptId === undefined && most > 100 - share);
}
