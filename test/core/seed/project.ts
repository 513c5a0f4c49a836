import type { ClientBase } from 'pg';
import type { Features } from './overrides.ts';

export interface SeededEnvironment {
  readonly id: number;
  readonly name: string;
  /** The client key. */
  readonly apiKey: string;
  /** `ser.…` */
  readonly serverKey: string;
  /** Feature versioning v2. */
  readonly versioned: boolean;
  /** Soft-deleted; must be left alone although a few identities remain in it. */
  readonly deleted: boolean;
}

export interface Project {
  readonly id: number;
  readonly environments: readonly SeededEnvironment[];
  readonly features: Features;
}

const ENVIRONMENTS = [
  { name: 'Production', versioned: false, deleted: false },
  { name: 'Staging', versioned: false, deleted: false },
  { name: 'Versioned', versioned: true, deleted: false },
  { name: 'Deleted', versioned: false, deleted: true },
];

/** Adds a project with its environments, server keys, features and the environments' own (not identities') states. */
export async function insertProject(client: ClientBase, organisationId: number, name: string): Promise<Project> {
  const id = await insert(
    client,
    `INSERT INTO projects_project
       (uuid, name, organisation_id, enable_dynamo_db, identity_overrides_v2_migration_status)
     VALUES (pg_temp.uuid4('project ' || $1::text || $2::text), $2, $1::int, false, 'NOT_STARTED') RETURNING id`,
    [String(organisationId), name],
  );
  const environments: SeededEnvironment[] = [];
  for (const environment of ENVIRONMENTS) environments.push(await insertEnvironment(client, id, environment));
  const features = await insertFeatures(client, id);
  await client.query(ENVIRONMENT_STATES, [id]);
  await client.query(ENVIRONMENT_VALUES, [id]);
  return { id, environments, features };
}

export async function insertOrganisation(client: ClientBase): Promise<number> {
  return insert(
    client,
    'INSERT INTO organisations_organisation (persist_trait_data, stop_serving_flags) VALUES (true, false) RETURNING id',
    [],
  );
}

async function insertEnvironment(
  client: ClientBase,
  projectId: number,
  { name, versioned, deleted }: (typeof ENVIRONMENTS)[number],
): Promise<SeededEnvironment> {
  const environment = await client.query<{ id: number; api_key: string }>(
    `INSERT INTO environments_environment
       (uuid, name, project_id, api_key, allow_client_traits, use_mv_v2_evaluation, use_v2_feature_versioning,
        use_identity_overrides_in_local_eval, hide_sensitive_data, updated_at, is_creating, deleted_at)
     VALUES (pg_temp.uuid4('environment ' || $1::text || $2::text), $2, $1::int,
       translate(substr(md5('key ' || $1::text || $2::text), 1, 22), '01', 'Zq'), true, true, $3, true, false, '2024-01-02 03:04:05.678901+00', false,
       CASE WHEN $4 THEN timestamptz '2024-06-01 00:00:00+00' END)
     RETURNING id, api_key`,
    [String(projectId), name, versioned, deleted],
  );
  const { id, api_key: apiKey } = environment.rows[0]!;
  const serverKey = `ser.${[...apiKey].reverse().join('')}`;
  await client.query(
    `INSERT INTO environments_environmentapikey (key, name, environment_id, created_at, active)
     VALUES ($1, 'server', $2, '2024-01-02 03:04:05.678901+00', true)`,
    [serverKey, id],
  );
  return { id, name, apiKey, serverKey, versioned, deleted };
}

async function insertFeatures(client: ClientBase, projectId: number): Promise<Features> {
  const feature = (name: string, type: string) =>
    insert(
      client,
      `INSERT INTO features_feature (uuid, project_id, name, type, initial_value, is_archived)
       VALUES (pg_temp.uuid4('feature ' || $1::text || $2::text), $1::int, $2, $3, 'default', $2::text = 'beta') RETURNING id`,
      [String(projectId), name, type],
    );
  const banner = await feature('banner', 'STANDARD');
  const checkout = await feature('checkout', 'MULTIVARIATE');
  const legacy = await feature('legacy', 'FLAG');
  const beta = await feature('beta', 'STANDARD');
  const option = (key: string | null, type: string, text: string | null, integer: number | null) =>
    insert(
      client,
      `INSERT INTO multivariate_multivariatefeatureoption
         (uuid, feature_id, type, string_value, integer_value, default_percentage_allocation, key)
       VALUES (pg_temp.uuid4('option ' || $1::text || $2::text), $1::int, $2, $3, $4, 50, $5) RETURNING id`,
      [String(checkout), type, text, integer, key],
    );
  const options = [
    await option('one-page', 'unicode', 'one_page', null),
    await option(null, 'int', 'stale', 2),
  ] as const;
  return { banner, checkout, legacy, beta, options };
}

const ENVIRONMENT_STATES = `
  INSERT INTO features_featurestate
    (uuid, feature_id, environment_id, enabled, created_at, updated_at, live_from, version)
  SELECT pg_temp.uuid4('default ' || e.id || ' ' || f.id), f.id, e.id, false, now(), now(), '2023-01-01 00:00:00+00', 1
  FROM environments_environment AS e JOIN features_feature AS f USING (project_id) WHERE e.project_id = $1`;

const ENVIRONMENT_VALUES = `
  INSERT INTO features_featurestatevalue (uuid, feature_state_id, type, string_value)
  SELECT pg_temp.uuid4('default value ' || s.id), s.id, 'unicode', 'default'
  FROM features_featurestate AS s JOIN environments_environment AS e ON e.id = s.environment_id
  WHERE e.project_id = $1 AND s.identity_id IS NULL`;

async function insert(client: ClientBase, statement: string, values: readonly unknown[]): Promise<number> {
  const { rows } = await client.query<{ id: number }>(statement, [...values]);
  return rows[0]!.id;
}
