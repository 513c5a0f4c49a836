import { execute, insertRows } from '@edge-migration/identity/fixtures/core-rows.ts';
import { numbered, WILD_PROJECT, wildIdentity } from '@edge-migration/identity/fixtures/wild-rows.ts';
import fc from 'fast-check';

/** Two projects. The key of the second one's first environment begins with the key of the first one's. */
export const PROJECTS = [1, 2] as const;
const [FIRST_KEY = '', SECOND_KEY = ''] = WILD_PROJECT['environments_environment']!.map((row) =>
  String(row['api_key']),
);
export const KEYS: Readonly<Record<number, string>> = {
  1: FIRST_KEY,
  2: SECOND_KEY,
  3: `${FIRST_KEY}_b`,
  4: 'plain-key',
};
/** Key of an environment in no project here, whose documents have keys of the first environment's identities. */
export const STRANGER_KEY = `${FIRST_KEY}_c`;

/** Traits of 1,990 characters; an identity of 100 bytes has none. */
const LARGE = [
  { name: 'medium', share: 0.02, traits: 75 },
  { name: 'nearly-too-large', share: 0.01, traits: 196 },
  { name: 'too-large', share: 0.01, traits: 600 },
];
const SHARES = { wild: 0.56, colliding: 0.05, stranger: 0.01, small: 0.29 };

/** Changes go by id modulo 20. This odd number of pairs has each change in one identity of some pair. */
const LEAST_PAIRS = 21;

export interface Population {
  readonly identities: number;
  /** Identities whose composite key belongs to an identity of the other project, too. */
  readonly pairs: number;
  /** Identifiers in environment 1 whose keys are those of foreign documents. */
  readonly strangers: readonly string[];
}

/** More than Edge can store: 1.2 MB, unless its traits have been deleted. */
export const isTooLarge = (document: object) => JSON.stringify(document).length > 2 ** 20;

/**
 * Fills Core with this many identities, from 100 bytes to 1.2 MB, as wild as its columns allow.
 *
 * @param seed the same seed gives the same rows
 */
export async function insertPopulation(databaseUrl: string, count: number, seed: number): Promise<Population> {
  const { organisations_organisation: _, ...project } = WILD_PROJECT;
  await insertRows(databaseUrl, {
    ...project,
    projects_project: PROJECTS.map((id) => ({ id })),
    environments_environment: [
      ...WILD_PROJECT['environments_environment']!,
      ...[3, 4].map((id) => ({ id, project_id: 2, api_key: KEYS[id] })),
    ],
  });
  const part = (share: number) => Math.max(1, Math.round(share * count));
  const wild = part(SHARES.wild);
  await insertWild(databaseUrl, wild, seed);
  const pairs = Math.max(LEAST_PAIRS, part(SHARES.colliding)) | 1;
  const strangers = Array.from({ length: part(SHARES.stranger) }, (_, index) => `c_stranger-${index}`);
  const bulk: [environmentId: number, prefix: string, count: number, traits: number, characters: number][] = [
    [1, 'b_pair-', pairs, 2, 20],
    [3, 'pair-', pairs, 1, 30],
    [1, 'c_stranger-', strangers.length, 1, 20],
    [4, 'tiny-', part(SHARES.small / 2), 0, 0],
    [4, 'small-', part(SHARES.small / 2), 4, 25],
    ...LARGE.map(({ name, share, traits }): (typeof bulk)[number] => [4, `${name}-`, part(share), traits, 1_990]),
  ];
  for (const values of bulk) await execute(databaseUrl, bulkStatement(...values));
  await execute(databaseUrl, 'ANALYZE');
  return { identities: bulk.reduce((sum, [, , count]) => sum + count, wild), pairs, strangers };
}

/** In both environments of the first project. A leading number makes them differ under any collation. */
async function insertWild(databaseUrl: string, count: number, seed: number): Promise<void> {
  const all = fc.sample(wildIdentity, { numRuns: count, seed }).map((identity, index) => ({
    ...identity,
    identifier: [...`${index}~${identity.identifier}`].slice(0, 2000).join(''),
  }));
  const { tables } = numbered(all, 1);
  await insertRows(databaseUrl, tables);
  // The following rows get their own ids.
  await execute(
    databaseUrl,
    ...Object.keys(tables).map(
      (table) =>
        `SELECT setval(pg_get_serial_sequence('${table}', 'id'), 1000 + (SELECT coalesce(max(id), 0) FROM ${table}))`,
    ),
  );
}

function bulkStatement(
  environmentId: number,
  prefix: string,
  count: number,
  traits: number,
  characters: number,
): string {
  return `
    WITH created AS (
      INSERT INTO environments_identity (identifier, created_date, environment_id, system_traits)
      SELECT '${prefix}' || n, '2024-01-01', ${environmentId}, '{}' FROM generate_series(0, ${count - 1}) n RETURNING id)
    INSERT INTO environments_trait (trait_key, value_type, string_value, created_date, identity_id)
    SELECT 'trait ' || t, 'unicode', repeat('x', ${characters}), '2024-01-01', id
      FROM created, generate_series(0, ${traits - 1}) t`;
}
