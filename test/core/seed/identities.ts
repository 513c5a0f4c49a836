import type { ClientBase } from 'pg';

/** The identities of one project: numbers 1 to `count`; number n has id `firstId + stride * n`. */
export interface Population {
  readonly count: number;
  readonly firstId: number;
  readonly stride: number;
  /** Distinguishes the values of populations that share their identifiers. */
  readonly salt: string;
  /** Seven environment ids, some repeated: identity n is in the one at n % 7. */
  readonly environmentIds: readonly number[];
  /** Share of identities that Edge cannot store, 0 to 1. */
  readonly unmigratable: number;
}

export const TRAITS_PER_IDENTITY = 6;

/** Adds the population's identities, each with six traits. @returns nothing; ids are known beforehand */
export async function insertIdentities(client: ClientBase, population: Population, firstTraitId: number) {
  const { count, firstId, stride, environmentIds, unmigratable, salt } = population;
  await client.query(IDENTITIES, [count, firstId, stride, environmentIds, unmigratable]);
  await client.query(TRAITS, [count, firstId, stride, firstTraitId, unmigratable, salt]);
}

/** Every 50th created on a full second, so that the fraction is absent; every 100th in cohorts. */
const IDENTITIES = `
  INSERT INTO environments_identity (id, identifier, created_date, environment_id, system_traits)
  SELECT $2::int + $3::int * n, pg_temp.identifier(n, pg_temp.defect(n, $5)),
    timestamptz '2023-01-01 00:00:00+00' + n * interval '37 seconds'
      + CASE WHEN n % 50 = 0 THEN interval '0' ELSE (pg_temp.roll(n, 'created') % 1000000) * interval '1 microsecond' END,
    ($4::int[])[n % 7 + 1],
    CASE WHEN n % 100 = 7 THEN jsonb_build_object('cohort-' || n % 5, true, 'tier', 'gold', 'rank', n % 9)
         ELSE '{}'::jsonb END
  FROM generate_series(1, $1::bigint) AS n`;

/**
 * One row per trait key: each of the types, strings that look like numbers, limits of int32, empty and NULL values,
 * stale values beside the one that counts. Every 9th identity has its traits in the opposite order. OFFSET 0 keeps the
 * planner from rolling once per mention instead of once per identity.
 */
const TRAITS = `
  INSERT INTO environments_trait
    (id, trait_key, value_type, boolean_value, integer_value, string_value, float_value, created_date, identity_id)
  SELECT $4::int + (n - 1) * ${TRAITS_PER_IDENTITY} + CASE WHEN n % 9 = 0 THEN 7 - t.position ELSE t.position END,
    t.key, t.type, t.bool, t.int, t.string, t.float, timestamptz '2023-06-01 12:00:00.5+00', $2::int + $3::int * n
  FROM generate_series(1, $1::bigint) AS n
  CROSS JOIN LATERAL (SELECT pg_temp.roll(n, $6) AS roll, pg_temp.defect(n, $5) AS defect OFFSET 0) AS r
  CROSS JOIN LATERAL (VALUES
    (1, 'plan', 'unicode', NULL::boolean, CASE WHEN n % 13 = 0 THEN 7 END,
      (ARRAY['free', 'gold', 'platinum', 'étudiant', '無料', '🚀 beta'])[r.roll % 6 + 1], NULL::double precision),
    (2, 'age', 'int', NULL, CASE n % 1000 WHEN 1 THEN 2147483647 WHEN 2 THEN -2147483648 ELSE 18 + r.roll % 70 END,
      CASE WHEN n % 11 = 0 THEN 'stale' END, NULL),
    (3, 'score', 'float', CASE WHEN n % 13 = 0 THEN true END, NULL, NULL,
      CASE WHEN r.defect = 2 THEN 'Infinity'::double precision WHEN r.defect = 4 THEN 1e300
           WHEN n % 19 = 0 THEN 1e22 WHEN n % 17 = 0 THEN r.roll * 1e-13 WHEN n % 5 = 0 THEN r.roll % 100
           ELSE (r.roll % 100000) / 100.0 - 500 END),
    (4, 'vip', 'bool', r.roll % 3 = 0, NULL, NULL, NULL),
    (5, 'zip', 'unicode', NULL, NULL,
      CASE WHEN r.defect = 3 THEN repeat('123456789', 5) WHEN n % 29 = 0 THEN '-0'
           ELSE CASE n % 4 WHEN 0 THEN lpad((r.roll % 100000)::text, 5, '0') WHEN 1 THEN (r.roll % 1000) || '.50'
                           WHEN 2 THEN '9007199254' || (1000000000 + r.roll) ELSE '+49 ' || r.roll END END, NULL),
    (6, 'note', 'unicode', NULL, NULL,
      CASE WHEN n % 97 = 0 THEN NULL
           ELSE CASE n % 5 WHEN 0 THEN '' WHEN 1 THEN '2024-02-29T10:00:00Z' WHEN 2 THEN '{"a": [1, 2], "b": "\\\\"}'
                           WHEN 3 THEN 'ça va 👋 ' || r.roll ELSE repeat('lorem ipsum ', 12) END END, NULL)
  ) AS t (position, key, type, bool, int, string, float)`;
