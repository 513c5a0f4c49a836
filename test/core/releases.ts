import { Client } from 'pg';

/** Columns and tables by the first Flagsmith release with them; see docs/flagsmith.md, "Version gates". */
const GATES = [
  {
    since: '2.42.0',
    drop: [
      'ALTER TABLE environments_environment DROP COLUMN deleted_at',
      'DROP TABLE environments_historicalenvironment',
    ],
  },
  {
    since: '2.84.0',
    drop: [
      'ALTER TABLE features_featurestate DROP COLUMN environment_feature_version_id',
      'DROP TABLE feature_versioning_environmentfeatureversion',
      'ALTER TABLE environments_environment DROP COLUMN use_v2_feature_versioning',
    ],
  },
  { since: '2.239.0', drop: ['ALTER TABLE multivariate_multivariatefeatureoption DROP COLUMN key'] },
  { since: '2.253.0', drop: ['ALTER TABLE features_featurestate DROP COLUMN mv_hashing_salt'] },
  {
    // Nearest known release; the columns came after 2.227.0 and at about this one.
    since: '2.257.0',
    drop: [
      'ALTER TABLE environments_environment DROP COLUMN first_evaluated_at, DROP COLUMN first_evaluated_sdk_label',
    ],
  },
  { since: '2.263.0', drop: ['ALTER TABLE environments_identity DROP COLUMN system_traits'] },
];

/** The last release before each change of the schema, and the one of schema.sql. */
export const RELEASES = ['2.41.0', '2.83.0', '2.238.0', '2.252.0', '2.256.0', '2.262.0', '2.265.0'] as const;

/** Removes everything from a database in the shape of schema.sql that an older release does not have yet. */
export async function downgrade(url: string, release: (typeof RELEASES)[number]): Promise<void> {
  const statements = GATES.filter(({ since }) => compare(release, since) < 0).flatMap(({ drop }) => drop);
  await run(url, statements);
}

/** Ids as installations from before Django 4.1 have them: `serial`, with a default from a sequence. */
export async function useSerialIds(url: string): Promise<void> {
  await run(url, [
    `DO $$ DECLARE name text; BEGIN
       FOR name IN SELECT table_name FROM information_schema.columns
                   WHERE table_schema = 'public' AND column_name = 'id' AND is_identity = 'YES' LOOP
         EXECUTE format('ALTER TABLE %I ALTER COLUMN id DROP IDENTITY', name);
         EXECUTE format('CREATE SEQUENCE %I AS integer OWNED BY %I.id', name || '_id_seq', name);
         EXECUTE format('SELECT setval(%L, coalesce(max(id), 0) + 1, false) FROM %I', name || '_id_seq', name);
         EXECUTE format('ALTER TABLE %I ALTER COLUMN id SET DEFAULT nextval(%L)', name, name || '_id_seq');
       END LOOP;
     END $$`,
  ]);
}

async function run(url: string, statements: readonly string[]): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

/** Orders `2.9.0` before `2.10.0`. */
function compare(left: string, right: string): number {
  return left.localeCompare(right, 'en', { numeric: true });
}
