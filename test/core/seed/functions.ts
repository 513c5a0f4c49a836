import type { ClientBase } from 'pg';

/**
 * Creates the session's helper functions of the seeder. All content is a pure function of the seed and a number `n`,
 * so that the same call creates the same identities on every machine and Postgres version: md5, not `random()`.
 */
export async function createFunctions(client: ClientBase, seed: number): Promise<void> {
  await client.query(`
    CREATE FUNCTION pg_temp.roll(n bigint, salt text) RETURNS integer IMMUTABLE LANGUAGE sql AS $$
      SELECT ('x' || substr(md5('${Math.trunc(seed)}:' || salt || ':' || n::text), 1, 7))::bit(28)::integer $$;

    -- Random-looking, RFC 4122 version 4 in shape.
    CREATE FUNCTION pg_temp.uuid4(name text) RETURNS uuid IMMUTABLE LANGUAGE sql AS $$
      SELECT overlay(overlay(md5('${Math.trunc(seed)}:' || name) placing '4' from 13) placing 'a' from 17)::uuid $$;

    -- Which of the five kinds of identity that Edge cannot store n is; NULL for the ordinary ones.
    CREATE FUNCTION pg_temp.defect(n bigint, share double precision) RETURNS integer IMMUTABLE LANGUAGE sql AS $$
      SELECT CASE WHEN floor(n * share) > floor((n - 1) * share) THEN floor(n * share)::integer % 5 END $$;

    CREATE FUNCTION pg_temp.identifier(n bigint, defect integer) RETURNS text IMMUTABLE LANGUAGE sql AS $$
      SELECT CASE defect WHEN 0 THEN 'too-long-' || n::text || '-' || repeat('x', 1024)
                         WHEN 1 THEN n::text || repeat('🦊', 256) ELSE
        CASE n / 3 % 10
          WHEN 0 THEN (ARRAY['anna','bob','chloé','dmitri'])[pg_temp.roll(n, 'name') % 4 + 1] || '.' || n::text || '@example.com'
          WHEN 1 THEN 'user+' || n::text || '@mail.example.org'
          WHEN 2 THEN pg_temp.uuid4('identifier ' || n::text)::text
          WHEN 3 THEN upper(pg_temp.uuid4('identifier ' || n::text)::text)
          WHEN 4 THEN 'ios-' || md5('device ' || n::text)
          WHEN 5 THEN 'android:' || substr(md5('device ' || n::text), 1, 16)
          WHEN 6 THEN (1000000 + n)::text
          WHEN 7 THEN 'пользователь-' || n::text
          WHEN 8 THEN '用户 ' || n::text || ' "引用"\\'
          ELSE '😀' || n::text || '_👩‍🚀'
        END END $$;
  `);
}
