import type { Database } from './database.ts';
import type { CoreEnvironment } from './identity.ts';

export interface CoreProject {
  readonly id: number;
  readonly name: string;
  /** Soft-deleted; a background task deletes its environments later. */
  readonly deleted: boolean;
  readonly organisation: {
    readonly id: number;
    /** When false, Core stores no traits that SDKs send. */
    readonly persistTraitData: boolean;
  };
  /** Live environments, ascending by id; a soft-deleted one has no place in Edge. */
  readonly environments: readonly CoreEnvironment[];
}

/** The project with its live environments, or undefined when Core has no such row. */
export async function readProject(
  database: Database,
  projectId: number,
  signal?: AbortSignal,
): Promise<CoreProject | undefined> {
  const [project] = await database.readByRelease(
    (query, release) =>
      query<{ project: CoreProject }>(
        `SELECT json_build_object(
                  'id', p.id, 'name', p.name, 'deleted', p.deleted_at IS NOT NULL,
                  'organisation', json_build_object('id', o.id, 'persistTraitData', o.persist_trait_data),
                  'environments', coalesce(
                    (SELECT json_agg(json_build_object(
                              'id', e.id, 'name', e.name, 'apiKey', e.api_key,
                              'allowClientTraits', e.allow_client_traits,
                              'useV2FeatureVersioning', ${release.v2FeatureVersioning ? 'e.use_v2_feature_versioning' : 'false'}
                            ) ORDER BY e.id)
                       FROM environments_environment e WHERE e.project_id = p.id ${release.environmentSoftDelete ? 'AND e.deleted_at IS NULL' : ''}), '[]')) AS project
           FROM projects_project p JOIN organisations_organisation o ON o.id = p.organisation_id
          WHERE p.id = $1`,
        [projectId],
      ),
    signal,
  );
  return project?.project;
}

/** Exact number of identities of one environment; an index-only scan of that environment's part. */
export async function countIdentities(
  database: Database,
  environmentId: number,
  signal?: AbortSignal,
): Promise<number> {
  const [row] = await database.read(
    (query) =>
      query<{ identities: string }>(
        'SELECT count(*) AS identities FROM environments_identity WHERE environment_id = $1',
        [environmentId],
      ),
    signal,
  );
  return Number(row?.identities ?? 0);
}
