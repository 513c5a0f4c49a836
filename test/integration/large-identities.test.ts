import { createTestProject, type TestProject } from '@edge-migration/operator/copy/worker/testing/project.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runWorker, type Summary } from './standalone-worker.ts';

/** Well within the 384 MiB of a pod. A quiet machine shows 205 at most; a busy one collects later. */
const MOST_RSS_MB = 250;
/** A longer trial: `LARGE_IDENTITIES=10 npx vitest run test/integration/large-identities.test.ts`. */
const SCALE = Number(process.env['LARGE_IDENTITIES'] ?? 1);

const POPULATION = [
  { name: 'small', identities: 1_500 * SCALE, traits: 3, text: 20 },
  { name: 'nearly too large for Edge', identities: 30 * SCALE, traits: 196, text: 1_990 },
  { name: 'of many small traits', identities: 25 * SCALE, traits: 5_000, text: 8 },
  { name: 'too large for Edge', identities: 25 * SCALE, traits: 600, text: 1_990 },
];
const STORABLE = POPULATION.slice(0, 3).reduce((sum, { identities }) => sum + identities, 0);
const TOO_LARGE = 25 * SCALE;
const SEEDED = 20;

let project: TestProject;

beforeAll(async () => {
  project = await createTestProject({ identities: SEEDED, neighbours: 0 });
  const environmentId = project.stores.project.environments[0]!.id;
  for (const [index, { identities, traits, text }] of POPULATION.entries()) {
    await project.sql(
      `WITH created AS (
         INSERT INTO environments_identity (identifier, created_date, environment_id, system_traits)
         SELECT $1 || lpad(n::text, 6, '0'), '2024-01-01', $2, '{}' FROM generate_series(1, $3::int) n RETURNING id)
       INSERT INTO environments_trait (trait_key, value_type, string_value, created_date, identity_id)
       SELECT 'trait' || t, 'unicode', repeat('x', $5), '2024-01-01', id FROM created, generate_series(1, $4::int) t`,
      [`size${index}-`, environmentId, identities, traits, text],
    );
  }
});
afterAll(() => project[Symbol.asyncDispose]());

/** Runs a worker alone, as a user does, and returns its last output. */
const run = (worker: 'copy' | 'verify', ...args: string[]): Promise<Summary> => {
  const { dynamodbEndpoint, identitiesTable } = project.tables.settings;
  const stores = { databaseUrl: project.databaseUrl, dynamodbEndpoint, identitiesTable };
  return runWorker(worker, project.seeded.projectId, stores, args);
};

test('identities of any size are planned, copied and compared within 160 MB of heap, and a second run writes nothing', async () => {
  const peaks: Record<string, number> = {};
  const note = (what: string, { rssMb, ...summary }: Summary) => {
    peaks[what] = rssMb;
    return summary;
  };
  note('verify of nothing copied', await run('verify'));
  const plan = note('plan', await run('copy', '--plan'));
  const first = note('copy', await run('copy'));
  const second = note('second copy', await run('copy'));
  const verified = note('verify', await run('verify'));
  process.stderr.write(
    `peak memory in MB: ${JSON.stringify(peaks)}\n${JSON.stringify({ plan, first, second, verified })}\n`,
  );

  const total = first['read'];
  expect(first).toMatchObject({ inserted: SEEDED + STORABLE, skipped: TOO_LARGE });
  expect(second).toMatchObject({ inserted: 0, writeUnits: 0 });
  expect(verified).toMatchObject({ identities: total, skipped: TOO_LARGE, missing: 0, differing: 0, extra: 0 });
  expect(Math.max(...Object.values(peaks))).toBeLessThan(MOST_RSS_MB);
}, 1_200_000);
