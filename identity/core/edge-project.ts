import type { Database } from './database.ts';

/** The facts about a live environment that Edge needs. */
export interface EdgeEnvironment {
  readonly id: number;
  readonly name: string;
  readonly apiKey: string;
  readonly serverKeys: readonly ServerKey[];
}

/** A server key that SDKs may use now. */
export interface ServerKey {
  readonly id: number;
  /** A secret: never put it in a message. */
  readonly key: string;
}

/** What Flagsmith hands over to Edge for a project besides its identities. */
export interface EdgeProject {
  /** `enable_dynamo_db`; also false where the release has no such column. */
  readonly enabled: boolean;
  /** Whether Flagsmith also writes its changes of environments to `environments_v2`. */
  readonly keepsEnvironmentsV2: boolean;
  /** Whether Flagsmith treats the overrides in `environments_v2` as complete. */
  readonly countsOverrides: boolean;
  /** Ascending by id. */
  readonly environments: readonly EdgeEnvironment[];
}

/**
 * Reads what Edge must know of a project before it can serve it; undefined where Core has no live project with this
 * id. The project's columns are looked up by name in its row, because older releases do not have all of them.
 *
 * @throws as {@link Database.read}
 */
export async function readEdgeProject(
  database: Database,
  projectId: number,
  signal?: AbortSignal,
): Promise<EdgeProject | undefined> {
  const [row] = await database.readByRelease(
    (query, release) =>
      query<{ project: EdgeProject }>(
        `SELECT json_build_object(
                  'enabled', coalesce((to_jsonb(p) ->> 'enable_dynamo_db')::boolean, false),
                  'keepsEnvironmentsV2', coalesce(
                    to_jsonb(p) ->> 'identity_overrides_v2_migration_status' IN ('COMPLETE', 'INCOMPLETE'), false),
                  'countsOverrides', coalesce(
                    to_jsonb(p) ->> 'identity_overrides_v2_migration_status' = 'COMPLETE', false),
                  'environments', coalesce(
                    (SELECT json_agg(json_build_object(
                              'id', e.id, 'name', e.name, 'apiKey', e.api_key, 'serverKeys', coalesce(
                                (SELECT json_agg(json_build_object('id', k.id, 'key', k.key) ORDER BY k.id)
                                   FROM environments_environmentapikey k
                                  WHERE k.environment_id = e.id AND k.active
                                    AND (k.expires_at IS NULL OR k.expires_at > now())), '[]'))
                            ORDER BY e.id)
                       FROM environments_environment e WHERE e.project_id = p.id ${release.environmentSoftDelete ? 'AND e.deleted_at IS NULL' : ''}), '[]')) AS project
           FROM projects_project p WHERE p.id = $1 AND p.deleted_at IS NULL`,
        [projectId],
      ),
    signal,
  );
  return row?.project;
}
