import { createDatabase } from '@edge-migration/test/cluster/shared.ts';
import { Client } from 'pg';
import { type Api, type ApiOptions, startApi } from '../server.ts';

export const CLIENT_KEY = 'client-key';
export const SERVER_KEY = 'ser.server-key';
export const ADMIN = { Authorization: 'Token admin-token' };

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Parsed, if it is JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: an answer is whatever the test expects it to be
  readonly body: any;
}

interface Sent {
  /** An object is sent as JSON, a text with the content type among the headers. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A Core API with a project of one environment (id 1, key `client-key`) and three features, and its tables. */
export interface Fixture extends AsyncDisposable {
  readonly api: Api;
  readonly databaseUrl: string;
  /** Sends as an SDK with the client key, unless the headers say otherwise. Does not follow redirects. */
  send(method: string, path: string, sent?: Sent): Promise<Answer>;
  /** Sends as an admin. */
  admin(method: string, path: string, body?: unknown): Promise<Answer>;
  /** Rows as arrays, integers as numbers. */
  query(statement: string, values?: readonly unknown[]): Promise<unknown[][]>;
  /** Identifiers in order of creation. */
  identifiers(): Promise<unknown[]>;
  /** The stored traits of the identity by key, as `type value`, or undefined if there is no such identity. */
  traits(identifier: string): Promise<Record<string, string> | undefined>;
  /** @returns the identity's id */
  addIdentity(identifier: string, traits?: Readonly<Record<string, string>>): Promise<number>;
  /** Deletes all identities and resets settings. */
  reset(): Promise<void>;
}

export async function createFixture(options: Partial<ApiOptions> = {}): Promise<Fixture> {
  const database = await createDatabase();
  const client = new Client({ connectionString: database.url });
  await client.connect();
  await client.query(PROJECT);
  const api = await startApi({ databaseUrl: database.url, acceptFaults: true, ...options });

  const query = async (statement: string, values: readonly unknown[] = []) =>
    (await client.query({ text: statement, values: [...values], rowMode: 'array' })).rows;

  const send = async (method: string, path: string, { body, headers = {} }: Sent = {}): Promise<Answer> => {
    const isText = typeof body === 'string' || body instanceof FormData || body instanceof Uint8Array;
    const response = await fetch(`${api.url}/api/v1/${path}`, {
      method,
      redirect: 'manual',
      headers: {
        'X-Environment-Key': CLIENT_KEY,
        ...(body !== undefined && !(body instanceof FormData) && { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: isText ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type') === 'application/json' && text !== '';
    return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : undefined };
  };

  return {
    api,
    databaseUrl: database.url,
    send,
    admin: (method, path, body) => send(method, path, { body, headers: ADMIN }),
    query,
    identifiers: async () => (await query('SELECT identifier FROM environments_identity ORDER BY id')).flat(),
    async traits(identifier) {
      const rows = await query(TRAITS, [identifier]);
      if (rows.length === 0) return undefined;
      return Object.fromEntries(rows.filter(([key]) => key !== null));
    },
    async addIdentity(identifier, traits = {}) {
      const [row] = await query(
        `INSERT INTO environments_identity (identifier, created_date, environment_id, system_traits)
         VALUES ($1, now(), 1, '{}') RETURNING id`,
        [identifier],
      );
      for (const [key, value] of Object.entries(traits)) {
        await query(
          `INSERT INTO environments_trait (identity_id, trait_key, value_type, string_value, created_date)
           VALUES ($1, $2, 'unicode', $3, now())`,
          [row?.[0], key, value],
        );
      }
      return row?.[0] as number;
    },
    async reset() {
      await query(RESET);
    },
    async [Symbol.asyncDispose]() {
      await api.close();
      await client.end();
      await database.drop();
    },
  };
}

const PROJECT = `
  INSERT INTO organisations_organisation (id, persist_trait_data, stop_serving_flags) VALUES (1, true, false);
  INSERT INTO projects_project (id, uuid, name, organisation_id, enable_dynamo_db, identity_overrides_v2_migration_status)
    VALUES (1, gen_random_uuid(), 'project', 1, false, 'NOT_STARTED');
  INSERT INTO environments_environment (id, uuid, name, project_id, api_key, allow_client_traits, use_mv_v2_evaluation,
      use_v2_feature_versioning, use_identity_overrides_in_local_eval, hide_sensitive_data, updated_at, is_creating)
    VALUES (1, gen_random_uuid(), 'environment', 1, 'client-key', true, true, false, true, false, now(), false);
  INSERT INTO environments_environmentapikey (key, name, environment_id, created_at, expires_at, active)
    VALUES ('ser.server-key', 'server', 1, now(), now() - interval '1 day', false);
  INSERT INTO features_feature (id, uuid, project_id, name, type, initial_value, is_archived)
    VALUES (1, gen_random_uuid(), 1, 'banner', 'STANDARD', 'initial', false),
      (2, gen_random_uuid(), 1, 'checkout', 'MULTIVARIATE', 'control', false),
      (3, gen_random_uuid(), 1, 'beta', 'STANDARD', NULL, false);
  INSERT INTO multivariate_multivariatefeatureoption
      (id, uuid, feature_id, type, string_value, default_percentage_allocation, key)
    VALUES (1, gen_random_uuid(), 2, 'unicode', 'one', 50, 'a'), (2, gen_random_uuid(), 2, 'unicode', 'two', 50, 'b');
  SELECT setval(pg_get_serial_sequence('features_feature', 'id'), 10),
    setval(pg_get_serial_sequence('multivariate_multivariatefeatureoption', 'id'), 10)`;

/** The type decides; a value in another column is stale. */
const TRAITS = `
  SELECT t.trait_key, concat_ws(' ', t.value_type, CASE t.value_type WHEN 'int' THEN t.integer_value::text
    WHEN 'float' THEN t.float_value::text WHEN 'bool' THEN t.boolean_value::text ELSE t.string_value END)
  FROM environments_identity AS i LEFT JOIN environments_trait AS t ON t.identity_id = i.id
  WHERE i.identifier = $1 AND i.environment_id = 1 ORDER BY t.id`;

const RESET = `
  TRUNCATE environments_identity, environments_trait, features_featurestate, features_featurestatevalue,
    multivariate_multivariatefeaturestatevalue RESTART IDENTITY;
  UPDATE organisations_organisation SET persist_trait_data = true, stop_serving_flags = false;
  UPDATE environments_environment SET allow_client_traits = true, hide_sensitive_data = false, deleted_at = NULL,
    use_v2_feature_versioning = false, api_key = 'client-key' WHERE id = 1;
  UPDATE features_feature SET deleted_at = NULL;
  UPDATE features_feature SET type = CASE id WHEN 2 THEN 'MULTIVARIATE' ELSE 'STANDARD' END`;
