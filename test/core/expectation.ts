import { Client } from 'pg';
import type { Item } from './canonical.ts';

export interface ExpectedDocument {
  /** `composite_key`. */
  readonly key: string;
  readonly identityId: number;
  /** False if DynamoDB would reject the document: then nothing may be on Edge. */
  readonly storable: boolean;
  /** Without `identity_uuid`; numbers as plain decimals, for comparison by {@link canonicalText}. */
  readonly document: Item;
}

const PAGE = 2000;

/**
 * The required content of Edge right after a migration of the project's current identities in Core, from one snapshot.
 *
 * A second statement of the rules in docs/flagsmith.md and docs/design.md, in SQL, deliberately sharing no code with
 * the product's encoder. It covers only release 2.265.0, and not the 400 KB limit.
 */
export async function* expectedDocuments(url: string, projectId: number): AsyncGenerator<ExpectedDocument> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query('SET jit = off');
    await client.query(FUNCTIONS);
    await client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await client.query(`DECLARE expected NO SCROLL CURSOR FOR ${DOCUMENTS}`, [projectId]);
    for (;;) {
      const { rows } = await client.query<ExpectedDocument>(`FETCH ${PAGE} FROM expected`);
      yield* rows;
      if (rows.length < PAGE) return;
    }
  } finally {
    await client.end();
  }
}

/** Only numeric text is cast to a number: out of range, Postgres would raise an error. */
const FUNCTIONS = `
  CREATE FUNCTION pg_temp.n(value numeric) RETURNS json STABLE LANGUAGE sql AS $$
    SELECT json_build_object('N', trim_scale(value)::text) $$;

  CREATE FUNCTION pg_temp.s(value text) RETURNS json STABLE LANGUAGE sql AS $$
    SELECT CASE WHEN value IS NULL THEN '{"NULL":true}'::json ELSE json_build_object('S', value) END $$;

  CREATE FUNCTION pg_temp.bool(value boolean) RETURNS json STABLE LANGUAGE sql AS $$
    SELECT json_build_object('BOOL', value) $$;

  -- The number that a string trait turns into, NULL if it stays a string. With a point it passes through a double.
  CREATE FUNCTION pg_temp.coerced(value text) RETURNS numeric STABLE LANGUAGE sql AS $$
    SELECT CASE
      WHEN value ~ '^-?[0-9]+$' THEN value::numeric
      WHEN value ~ '^-?[0-9]+\\.[0-9]+$' THEN
        CASE WHEN abs(value::numeric) > 1.7976931348623157e308 THEN 'Infinity'::numeric
             WHEN abs(value::numeric) < 5e-324 THEN 0
             ELSE value::double precision::text::numeric END
      END $$;

  CREATE FUNCTION pg_temp.trait(type text, whole integer, string text, truth boolean, fraction double precision)
  RETURNS TABLE (value json, number numeric) STABLE LANGUAGE sql AS $$
    SELECT CASE WHEN number IS NOT NULL THEN pg_temp.n(number)
                WHEN type = 'bool' AND truth IS NOT NULL THEN pg_temp.bool(truth)
                WHEN type = 'unicode' AND string IS NOT NULL THEN pg_temp.s(string) END, number
    FROM (SELECT CASE type WHEN 'int' THEN whole::numeric WHEN 'float' THEN fraction::text::numeric
                           WHEN 'unicode' THEN pg_temp.coerced(string) END AS number) AS n $$;

  -- Feature state values and multivariate options: never coerced, string_value unless the type says otherwise.
  CREATE FUNCTION pg_temp.value(type text, whole integer, string text, truth boolean) RETURNS json STABLE LANGUAGE sql
  AS $$
    SELECT CASE WHEN type = 'int' AND whole IS NOT NULL THEN pg_temp.n(whole)
                WHEN type = 'bool' AND truth IS NOT NULL THEN pg_temp.bool(truth)
                WHEN type IN ('int', 'bool') THEN pg_temp.s(NULL) ELSE pg_temp.s(string) END $$;

  -- Readers take version 4 only: of any other uuid, version and variant are set.
  CREATE FUNCTION pg_temp.uuid4(value uuid) RETURNS json STABLE LANGUAGE sql AS $$
    SELECT pg_temp.s(overlay(overlay(value::text PLACING '4' FROM 15) PLACING
      translate(substr(value::text, 20, 1), '0123456789abcdef', '89ab89ab89ab89ab') FROM 20)) $$;

  CREATE FUNCTION pg_temp.time(value timestamptz) RETURNS text STABLE LANGUAGE sql AS $$
    SELECT CASE value WHEN 'infinity' THEN '9999-12-31T23:59:59.999999' WHEN '-infinity' THEN '0001-01-01T00:00:00' ELSE
      to_char(value AT TIME ZONE 'UTC', CASE WHEN extract(microseconds FROM value)::int % 1000000 = 0
        THEN 'YYYY-MM-DD"T"HH24:MI:SS' ELSE 'YYYY-MM-DD"T"HH24:MI:SS.US' END) END || '+00:00' $$;

  -- 38 significant digits between 1E-130 and 9.99E+125.
  CREATE FUNCTION pg_temp.storable(value numeric) RETURNS boolean STABLE LANGUAGE sql AS $$
    SELECT value = 0 OR abs(value) BETWEEN 1e-130 AND 1e126 - 1
      AND length(trim('0' FROM replace(trim_scale(abs(value))::text, '.', ''))) <= 38 $$;`;

const TRAITS = `
  SELECT coalesce(json_agg(json_build_object('M',
      json_build_object('trait_key', pg_temp.s(t.trait_key), 'trait_value', v.value)) ORDER BY t.id), '[]') AS list,
    coalesce(bool_and(pg_temp.storable(v.number)), true) AS storable
  FROM environments_trait AS t, pg_temp.trait(value_type, integer_value, string_value, boolean_value, float_value) AS v
  WHERE t.identity_id = i.id AND v.value IS NOT NULL`;

/**
 * One row per feature, from the identity's own environment if possible: with v1 the one that went live last, with v2
 * the youngest.
 */
const LIVE_OVERRIDES = `
  SELECT DISTINCT ON (s.feature_id) s.*, min(s.id) OVER (PARTITION BY s.feature_id) AS first_id
  FROM features_featurestate AS s JOIN environments_environment AS own ON own.id = s.environment_id
  WHERE s.identity_id = i.id AND s.deleted_at IS NULL
    AND (own.use_v2_feature_versioning OR s.version IS NOT NULL AND s.live_from <= now())
  ORDER BY s.feature_id, s.environment_id = e.id DESC,
    CASE WHEN NOT e.use_v2_feature_versioning THEN s.live_from END DESC NULLS LAST,
    CASE WHEN NOT e.use_v2_feature_versioning THEN s.version END DESC NULLS LAST, s.id DESC`;

const MULTIVARIATE_VALUES = `
  SELECT coalesce(json_agg(json_build_object('M', json_build_object(
      'multivariate_feature_option', json_build_object('M', json_build_object(
        'value', pg_temp.value(o.type, o.integer_value, o.string_value, o.boolean_value),
        'id', pg_temp.n(o.id), 'key', pg_temp.s(o.key))),
      'percentage_allocation', pg_temp.n(m.percentage_allocation::text::numeric),
      'id', pg_temp.n(m.id), 'mv_fs_value_uuid', pg_temp.uuid4(m.uuid))) ORDER BY m.id), '[]') AS list,
    coalesce(bool_and(m.percentage_allocation BETWEEN 0 AND 100
        AND pg_temp.storable(m.percentage_allocation::text::numeric)), true)
      AND coalesce(sum(m.percentage_allocation) <= 100 + 1e-9, true) AS readable
  FROM multivariate_multivariatefeaturestatevalue AS m
  JOIN multivariate_multivariatefeatureoption AS o ON o.id = m.multivariate_feature_option_id
  WHERE m.feature_state_id = s.id`;

const OVERRIDES = `
  SELECT coalesce(json_agg(json_build_object('M', json_build_object(
      'feature', json_build_object('M', json_build_object('id', pg_temp.n(f.id), 'name', pg_temp.s(f.name),
        'type', pg_temp.s(CASE f.type WHEN 'MULTIVARIATE' THEN f.type ELSE 'STANDARD' END))),
      'enabled', pg_temp.bool(s.enabled),
      'django_id', pg_temp.n(coalesce(nullif(s.mv_hashing_salt, 0), s.id)),
      'feature_segment', pg_temp.s(NULL),
      'featurestate_uuid', pg_temp.uuid4(s.uuid),
      'feature_state_value', pg_temp.value(v.type, v.integer_value, v.string_value, v.boolean_value),
      'multivariate_feature_state_values', json_build_object('L', m.list))) ORDER BY s.first_id), '[]') AS list,
    coalesce(bool_and(m.readable), true) AS readable
  FROM (${LIVE_OVERRIDES}) AS s
  JOIN features_feature AS f ON f.id = s.feature_id
  LEFT JOIN features_featurestatevalue AS v ON v.feature_state_id = s.id
  CROSS JOIN LATERAL (${MULTIVARIATE_VALUES}) AS m`;

/** Booleans, numbers and texts by a name; without nulls. */
const SYSTEM_TRAITS = `
  SELECT json_object_agg(entry.key, CASE jsonb_typeof(entry.value)
      WHEN 'boolean' THEN pg_temp.bool((entry.value)::boolean) WHEN 'number' THEN pg_temp.n(number)
      ELSE pg_temp.s(entry.value #>> '{}') END) FILTER (WHERE jsonb_typeof(entry.value) <> 'null') AS map,
    jsonb_typeof(i.system_traits) = 'object'
      AND coalesce(bool_and(jsonb_typeof(entry.value) = 'null' OR entry.key <> ''
        AND jsonb_typeof(entry.value) NOT IN ('object', 'array') AND coalesce(pg_temp.storable(number), true)), true)
      AS storable
  FROM jsonb_each(CASE jsonb_typeof(i.system_traits) WHEN 'object' THEN i.system_traits ELSE '{}' END) AS entry,
    LATERAL (SELECT CASE jsonb_typeof(entry.value) WHEN 'number' THEN pg_temp.coerced(entry.value #>> '{}') END AS number) n`;

const DOCUMENTS = `
  SELECT e.api_key || '_' || i.identifier AS key, i.id AS "identityId",
    octet_length(i.identifier) BETWEEN 1 AND 1024 AND octet_length(e.api_key || '_' || i.identifier) <= 2048
      AND (NOT isfinite(i.created_date) OR i.created_date BETWEEN '0001-01-01 00:00+00' AND '9999-12-31 23:59:59.999999+00')
      AND traits.storable AND overrides.readable AND system_traits.storable AS storable,
    (jsonb_build_object(
      'composite_key', pg_temp.s(e.api_key || '_' || i.identifier),
      'environment_api_key', pg_temp.s(e.api_key),
      'identifier', pg_temp.s(i.identifier),
      'created_date', pg_temp.s(pg_temp.time(i.created_date)),
      'django_id', pg_temp.n(i.id),
      'identity_traits', json_build_object('L', traits.list),
      'identity_features', json_build_object('L', overrides.list))
     || CASE WHEN system_traits.map IS NULL THEN '{}'::jsonb
             ELSE jsonb_build_object('system_traits', json_build_object('M', system_traits.map)) END)::json AS document
  FROM environments_environment AS e
  JOIN environments_identity AS i ON i.environment_id = e.id
  CROSS JOIN LATERAL (${TRAITS}) AS traits
  CROSS JOIN LATERAL (${OVERRIDES}) AS overrides
  CROSS JOIN LATERAL (${SYSTEM_TRAITS}) AS system_traits
  WHERE e.project_id = $1 AND e.deleted_at IS NULL`;
