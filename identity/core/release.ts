import { CoreUnsupportedError } from './errors.ts';
import type { OverrideWinner } from './identity.ts';
import type { Query } from './transaction.ts';

/** The features of the installed Flagsmith release that concern identities. */
export interface CoreRelease {
  /** `environments_environment.deleted_at`, since 2.42.0. */
  readonly environmentSoftDelete: boolean;
  /** `environments_environment.use_v2_feature_versioning`, since 2.84.0. */
  readonly v2FeatureVersioning: boolean;
  /** `live_from` and `version` of feature states; without them every override is live. */
  readonly scheduledOverrides: boolean;
  /** `deleted_at` of feature states; without it overrides are deleted for good. */
  readonly overrideSoftDelete: boolean;
  /** `multivariate_multivariatefeatureoption.key`, since 2.239.0. */
  readonly optionKeys: boolean;
  /** `features_featurestate.mv_hashing_salt`, since 2.253.0. */
  readonly hashingSalts: boolean;
  /** `environments_identity.system_traits`, since 2.263.0. */
  readonly systemTraits: boolean;
  /** The table of the environments' earlier states, since about 2.42.0, if its user may read it. */
  readonly environmentHistory: boolean;
  readonly overrideWinner: OverrideWinner;
}

/** Without these nothing can be copied faithfully. */
const REQUIRED = [
  'organisations_organisation.persist_trait_data',
  'projects_project.organisation_id',
  'projects_project.deleted_at',
  'environments_environment.api_key',
  'environments_environment.allow_client_traits',
  'environments_identity.identifier',
  'environments_trait.value_type',
  'features_feature.type',
  'features_featurestate.uuid',
  'features_featurestatevalue.type',
  'multivariate_multivariatefeatureoption.type',
  'multivariate_multivariatefeaturestatevalue.uuid',
] as const;

/** Hidden from a user who may not read it. */
const HISTORY = 'environments_historicalenvironment';

const REQUIRED_TABLES = [...new Set(REQUIRED.map((column) => column.split('.')[0] as string))];

/** Every required table of Core. */
export const CORE_TABLES: readonly string[] = [...REQUIRED_TABLES, 'environments_environmentapikey'];

/** Every table of Core that is read. */
export const READ_TABLES: readonly string[] = [...CORE_TABLES, HISTORY];

/**
 * Detects the features of the installed release by its columns, so that one build serves every release.
 *
 * @param database its name in messages
 * @throws CoreUnsupportedError when the database is not Flagsmith's, or is older than what we can read
 */
export async function findRelease(query: Query, database: string): Promise<CoreRelease> {
  const [row] = await query<{ columns: string[] }>(
    `SELECT coalesce(json_agg(c.table_name || '.' || c.column_name), '[]') AS columns
       FROM information_schema.columns c
      WHERE c.table_schema = 'public' AND c.table_name = ANY ($1)`,
    [READ_TABLES],
  );
  const columns = new Set(row?.columns);
  const missing = REQUIRED.filter((column) => !columns.has(column));
  if (missing.length > 0) {
    throw new CoreUnsupportedError(
      `${database} is not a supported Flagsmith database, or its user may not see it: ` +
        `${missing.join(', ')} not found in schema public. Point the URL at Flagsmith's own database and grant SELECT.`,
    );
  }
  return releaseOf(columns);
}

/** Pure part of {@link findRelease}: maps `table.column` names to their meaning. */
function releaseOf(columns: ReadonlySet<string>): CoreRelease {
  return {
    environmentSoftDelete: columns.has('environments_environment.deleted_at'),
    v2FeatureVersioning: columns.has('environments_environment.use_v2_feature_versioning'),
    scheduledOverrides: columns.has('features_featurestate.live_from') && columns.has('features_featurestate.version'),
    overrideSoftDelete: columns.has('features_featurestate.deleted_at'),
    optionKeys: columns.has('multivariate_multivariatefeatureoption.key'),
    hashingSalts: columns.has('features_featurestate.mv_hashing_salt'),
    systemTraits: columns.has('environments_identity.system_traits'),
    environmentHistory: columns.has(`${HISTORY}.api_key`),
    // The rule changed in 2.257.0 without a column of its own. `first_evaluated_at` came within a release of it, and is
    // the closest sign in the schema: only duplicates on a release next to 2.257.0 can be judged wrongly.
    overrideWinner: columns.has('environments_environment.first_evaluated_at') ? 'latestLiveFrom' : 'highestId',
  };
}
