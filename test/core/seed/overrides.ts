import type { ClientBase } from 'pg';
import type { Population } from './identities.ts';

/** The features of a seeded project, by name; `checkout` is multivariate with two options. */
export interface Features {
  readonly banner: number;
  readonly checkout: number;
  readonly legacy: number;
  readonly beta: number;
  /** Multivariate options of `checkout`, by their order. */
  readonly options: readonly [number, number];
}

/** Ids reserved for the feature states of each overriding identity. */
export const OVERRIDES_PER_IDENTITY = 8;

/** First free ids of the three tables. */
export interface OverrideIds {
  readonly state: number;
  readonly value: number;
  readonly multivariate: number;
}

/**
 * Adds overrides to one identity in twenty: a plain one of each type, a multivariate one, one of a feature with a
 * legacy type, and on some of them rows that must not count or must not win: a soft-deleted row, a future `live_from`,
 * a second live row for the same feature.
 */
export async function insertOverrides(
  client: ClientBase,
  population: Population,
  features: Features,
  ids: OverrideIds,
): Promise<void> {
  const { count, firstId, stride, environmentIds, salt } = population;
  const { banner, checkout, legacy, beta, options } = features;
  await client.query(`CREATE TEMP TABLE seeded_override ON COMMIT DROP AS ${OVERRIDES}`, [
    count,
    firstId,
    stride,
    environmentIds,
    salt,
    [banner, checkout, legacy, beta],
    ids.state,
  ]);
  await client.query(STATES, [salt]);
  await client.query(VALUES, [salt, ids.value - ids.state]);
  await client.query(MULTIVARIATE_VALUES, [salt, ids.multivariate - 2 * ids.state, options, checkout]);
  await client.query('DROP TABLE seeded_override');
}

/** `kept` lists the candidate rows, out of eight, that the identity has. */
const OVERRIDES = `
  SELECT $7::int + (n / 20) * ${OVERRIDES_PER_IDENTITY} + o.position AS id, $2::int + $3::int * n AS identity_id,
    environment.id AS environment_id, environment.versioned, ($6::int[])[o.feature] AS feature_id, n, o.*, r.roll
  FROM generate_series(3, $1::bigint, 20) AS n
  CROSS JOIN LATERAL (SELECT pg_temp.roll(n, $5 || 'override') AS roll) AS r
  CROSS JOIN LATERAL (SELECT e.id, e.use_v2_feature_versioning AS versioned
                      FROM environments_environment AS e WHERE e.id = ($4::int[])[n % 7 + 1]) AS environment
  CROSS JOIN LATERAL (VALUES
    (0, n % 100 = 3,   1, -400, true,  'unicode', NULL, 'deleted long ago', NULL),
    (1, true,          1, -300, false,
      (ARRAY['unicode', 'int', 'bool', 'unicode'])[r.roll % 4 + 1], r.roll % 1000,
      (ARRAY['blue', 'control', 'stale', '007'])[r.roll % 4 + 1], r.roll % 8 < 4),
    (2, r.roll % 2 = 0, 2, -300, false, 'unicode', NULL, 'control', NULL),
    (3, r.roll % 3 = 0, 3, -200, false, 'bool', NULL, 'stale', true),
    (4, n % 120 = 3,   4,  3650, false, 'unicode', NULL, 'not yet', NULL),
    (5, n % 260 = 3,   1, -350, false, 'unicode', NULL, 'second row', NULL),
    (6, n % 180 = 3,   4, -100, false, NULL, 5, 'type is null', NULL)
  ) AS o (position, kept, feature, live_days, deleted, type, int, string, bool)
  WHERE o.kept`;

const STATES = `
  INSERT INTO features_featurestate (id, uuid, feature_id, environment_id, identity_id, enabled, created_at, updated_at,
    live_from, version, mv_hashing_salt, deleted_at)
  SELECT id, pg_temp.uuid4($1 || 'state ' || id), feature_id, environment_id, identity_id, roll % 5 > 0,
    timestamptz '2023-07-01 00:00:00+00', timestamptz '2023-07-01 00:00:00+00',
    CASE WHEN NOT versioned THEN timestamptz '2025-01-01 00:00:00+00' + live_days * interval '1 day' END, 1,
    CASE WHEN n % 80 = 3 THEN 1 + roll % 1000 WHEN n % 60 = 3 THEN 0 END,
    CASE WHEN deleted THEN timestamptz '2024-01-01 00:00:00+00' END
  FROM seeded_override`;

/** Every 7th override of `beta` has no value row: its value is NULL. */
const VALUES = `
  INSERT INTO features_featurestatevalue (id, uuid, feature_state_id, type, integer_value, string_value, boolean_value)
  SELECT id + $2::int, pg_temp.uuid4($1 || 'value ' || id), id, type, int, string, bool
  FROM seeded_override WHERE NOT (feature = 4 AND roll % 7 = 0)`;

const MULTIVARIATE_VALUES = `
  INSERT INTO multivariate_multivariatefeaturestatevalue
    (id, uuid, feature_state_id, multivariate_feature_option_id, percentage_allocation)
  SELECT $2::int + 2 * id + o.position, pg_temp.uuid4($1 || 'multivariate ' || id || ' ' || o.position), id,
    ($3::int[])[o.position + 1], CASE o.position WHEN 0 THEN share ELSE 100 - share END
  FROM seeded_override
  CROSS JOIN LATERAL (SELECT (ARRAY[100, 0, 33.25, 50.5])[roll % 4 + 1]::double precision AS share) AS s
  CROSS JOIN generate_series(0, 1) AS o (position)
  WHERE feature_id = $4::int`;
