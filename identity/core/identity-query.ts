import type { CoreIdentity } from './identity.ts';
import type { CoreRelease } from './release.ts';

/** A row with {@link identityColumns}. */
export type IdentityRow = Omit<CoreIdentity, 'overrideWinner'>;

export const identityOf = (row: IdentityRow, { overrideWinner }: CoreRelease): CoreIdentity => ({
  ...row,
  overrideWinner,
});

/**
 * The columns of an {@link IdentityRow}, by name, for a query `FROM … i` over
 * `environments_identity`.
 *
 * Traits and overrides are scalar subqueries, not joins: the planner can only look them up by identity, never scan and
 * hash the tables of all tenants. They come as JSON, because one text per identity costs the reader far less than a row
 * per trait, and because JSON writes timestamps and floats the same way under all session settings.
 */
export function identityColumns(release: CoreRelease): string {
  return `
    i.id, i.identifier,
    ${utc('i.created_date')} AS "createdDate",
    ${release.systemTraits ? `nullif(i.system_traits, '{}')::text` : 'null'} AS "systemTraits",
    coalesce((${TRAITS}), '[]') AS traits,
    coalesce((${overrides(release)}), '[]') AS overrides`;
}

const TRAITS = `
  SELECT json_agg(trait) FROM (
    SELECT t.id, t.trait_key AS key, t.value_type AS type,
           CASE t.value_type
             WHEN 'unicode' THEN to_json(t.string_value)
             WHEN 'int' THEN to_json(t.integer_value)
             WHEN 'bool' THEN to_json(t.boolean_value)
             WHEN 'float' THEN to_json(t.float_value)
           END AS value
      FROM environments_trait t WHERE t.identity_id = i.id ORDER BY t.id) trait`;

/**
 * Whether an override is live depends on the environment of its own row, not of its identity. A row without an
 * environment belongs to no environment's flags, so the inner join leaves it out.
 */
function overrides(release: CoreRelease): string {
  const scheduled = 'fs.version IS NOT NULL AND fs.live_from <= now()';
  const live = [
    'fs.identity_id = i.id',
    ...(release.overrideSoftDelete ? ['fs.deleted_at IS NULL'] : []),
    ...(release.scheduledOverrides
      ? [release.v2FeatureVersioning ? `(e.use_v2_feature_versioning OR (${scheduled}))` : scheduled]
      : []),
  ];
  return `
  SELECT json_agg(override) FROM (
    SELECT fs.id, fs.uuid, f.id AS "featureId", f.name AS "featureName", f.type AS "featureType",
           fs.environment_id AS "environmentId", fs.enabled,
           ${release.scheduledOverrides ? `${utc('fs.live_from')} AS "liveFrom", fs.version` : 'null AS "liveFrom", null AS version'},
           ${release.hashingSalts ? 'fs.mv_hashing_salt' : 'null'} AS "hashingSalt",
           ${featureValue('v')} AS value,
           coalesce((${multivariateValues(release)}), '[]') AS "multivariateValues"
      FROM features_featurestate fs
      JOIN environments_environment e ON e.id = fs.environment_id
      JOIN features_feature f ON f.id = fs.feature_id
      LEFT JOIN features_featurestatevalue v ON v.feature_state_id = fs.id
     WHERE ${live.join(' AND ')} ORDER BY fs.id) override`;
}

function multivariateValues(release: CoreRelease): string {
  return `
  SELECT json_agg(mv) FROM (
    SELECT m.id, m.uuid, m.percentage_allocation AS "percentageAllocation",
           o.id AS "optionId", ${featureValue('o')} AS "optionValue"${release.optionKeys ? ', o.key AS "optionKey"' : ''}
      FROM multivariate_multivariatefeaturestatevalue m
      JOIN multivariate_multivariatefeatureoption o ON o.id = m.multivariate_feature_option_id
     WHERE m.feature_state_id = fs.id ORDER BY m.id) mv`;
}

/** Unlike a trait, a feature value of unknown type is its string. */
function featureValue(table: string): string {
  return `CASE ${table}.type
             WHEN 'int' THEN to_json(${table}.integer_value)
             WHEN 'bool' THEN to_json(${table}.boolean_value)
             ELSE to_json(${table}.string_value)
           END`;
}

/** UTC text with all microseconds; `#>> '{}'` strips the JSON quotes. */
function utc(column: string): string {
  return `to_json(${column} AT TIME ZONE 'UTC') #>> '{}'`;
}
