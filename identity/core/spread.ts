import type { Database } from './database.ts';

/** A feature, and a project whose identities it concerns. */
export interface FeaturePlace {
  readonly projectId: number;
  readonly featureId: number;
}

/** An override may be of another project's feature, and hold an option of another feature. */
const OVERRIDES = `
  features_featurestate s
  JOIN environments_identity i ON i.id = s.identity_id
  JOIN environments_environment e ON e.id = i.environment_id`;
const HOLDERS = `
  multivariate_multivariatefeatureoption o
  JOIN multivariate_multivariatefeaturestatevalue v ON v.multivariate_feature_option_id = o.id
  JOIN features_featurestate s ON s.id = v.feature_state_id
  JOIN environments_identity i ON i.id = s.identity_id
  JOIN environments_environment e ON e.id = i.environment_id`;

/**
 * Places where identities have, or had (soft-deleted), an override of one of these features, or of any feature that
 * holds an option of theirs.
 *
 * @throws as {@link Database.read}
 */
export async function readFeaturePlaces(
  database: Database,
  featureIds: readonly number[],
  signal?: AbortSignal,
): Promise<FeaturePlace[]> {
  return database.read(
    (query) =>
      query<{ projectId: number; featureId: number }>(
        `SELECT e.project_id AS "projectId", s.feature_id AS "featureId"
           FROM ${OVERRIDES} WHERE s.feature_id = ANY ($1::int[])
         UNION
         SELECT e.project_id, s.feature_id FROM ${HOLDERS} WHERE o.feature_id = ANY ($1::int[])`,
        [featureIds],
      ),
    signal,
  );
}

/** As {@link readFeaturePlaces}, for one option: overrides that hold it and overrides of its feature. */
export async function readOptionPlaces(
  database: Database,
  optionId: number,
  signal?: AbortSignal,
): Promise<FeaturePlace[]> {
  return database.read(
    (query) =>
      query<{ projectId: number; featureId: number }>(
        `SELECT e.project_id AS "projectId", s.feature_id AS "featureId" FROM ${HOLDERS} WHERE o.id = $1
         UNION
         SELECT e.project_id, s.feature_id FROM ${OVERRIDES}
          WHERE s.feature_id IN (SELECT feature_id FROM multivariate_multivariatefeatureoption WHERE id = $1)`,
        [optionId],
      ),
    signal,
  );
}

/** Ids of all features of a project, soft-deleted ones included. */
export async function readFeatureIds(database: Database, projectId: number, signal?: AbortSignal): Promise<number[]> {
  const rows = await database.read(
    (query) => query<{ id: number }>('SELECT id FROM features_feature WHERE project_id = $1 ORDER BY id', [projectId]),
    signal,
  );
  return rows.map(({ id }) => id);
}

/** Those of these projects that Core has deleted or does not know. */
export async function readDeletedProjects(
  database: Database,
  projectIds: readonly number[],
  signal?: AbortSignal,
): Promise<number[]> {
  const rows = await database.read(
    (query) =>
      query<{ id: number }>(
        `SELECT asked.id FROM unnest($1::int[]) AS asked (id)
          WHERE NOT EXISTS (SELECT FROM projects_project p WHERE p.id = asked.id AND p.deleted_at IS NULL)`,
        [projectIds],
      ),
    signal,
  );
  return rows.map(({ id }) => id);
}

/**
 * Places where identities of these projects have, or had, an override of a feature of another project that Core has
 * deleted, or one that holds an option of such a feature. Deleted projects and their features keep their rows.
 *
 * @throws as {@link Database.read}
 */
export async function readPlacesOfDeletedProjects(
  database: Database,
  projectIds: readonly number[],
  signal?: AbortSignal,
): Promise<FeaturePlace[]> {
  const isConcerned = 'p.deleted_at IS NOT NULL AND p.id <> e.project_id AND e.project_id = ANY ($1::int[])';
  return database.read(
    (query) =>
      query<{ projectId: number; featureId: number }>(
        `SELECT e.project_id AS "projectId", s.feature_id AS "featureId"
           FROM ${OVERRIDES}
           JOIN features_feature f ON f.id = s.feature_id
           JOIN projects_project p ON p.id = f.project_id
          WHERE ${isConcerned}
         UNION
         SELECT e.project_id, s.feature_id
           FROM ${HOLDERS}
           JOIN features_feature f ON f.id = o.feature_id
           JOIN projects_project p ON p.id = f.project_id
          WHERE ${isConcerned}`,
        [projectIds],
      ),
    signal,
  );
}

/** The feature and identity that a feature state belongs to. */
export interface FeatureStatePlace {
  readonly featureId: number;
  readonly environmentId: number | null;
  /** Null: it belongs to an environment or a segment. */
  readonly identityId: number | null;
  /**
   * It is an environment's own state, but may have been an identity's: a feature's own state is created with it, before
   * any other, and Core refuses to turn an override into a second one.
   */
  readonly mayHaveBeenOverride: boolean;
}

/** Undefined when Core has no such row; those of soft-deleted states count. */
export async function readFeatureStatePlace(
  database: Database,
  featureStateId: number,
  signal?: AbortSignal,
): Promise<FeatureStatePlace | undefined> {
  const [row] = await database.read(
    (query) =>
      query<FeatureStatePlace & Record<string, unknown>>(
        `SELECT s.feature_id AS "featureId", s.environment_id AS "environmentId", s.identity_id AS "identityId",
                s.identity_id IS NULL AND s.feature_segment_id IS NULL AND coalesce(s.version, 1) = 1
                AND bool_or(o.id < s.id)
                AND NOT bool_or(o.id <> s.id AND o.identity_id IS NULL AND o.feature_segment_id IS NULL
                                AND o.deleted_at IS NULL AND coalesce(o.version, 1) = 1) AS "mayHaveBeenOverride"
           FROM features_featurestate s
           LEFT JOIN features_featurestate o
             ON o.feature_id = s.feature_id AND o.environment_id = s.environment_id
          WHERE s.id = $1 GROUP BY s.id`,
        [featureStateId],
      ),
    signal,
  );
  return row;
}
