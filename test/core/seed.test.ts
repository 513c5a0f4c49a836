import { createDatabase, type TestDatabase } from '@edge-migration/test/cluster/shared.ts';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canonicalText } from './canonical.ts';
import { expectedDocuments } from './expectation.ts';
import { countRows, type SeededProject, seedProject } from './seed.ts';

const IDENTITIES = 3000;
const OPTIONS = { identities: IDENTITIES, unmigratable: 0.01 };

describe('A seeded project', () => {
  let database: TestDatabase;
  let project: SeededProject;
  let client: Client;

  beforeAll(async () => {
    database = await createDatabase();
    project = await seedProject(database.url, OPTIONS);
    client = new Client({ connectionString: database.url });
    await client.connect();
  });
  afterAll(async () => {
    await client.end();
    await database.drop();
  });

  const values = async (statement: string) => {
    const { rows } = await client.query({ text: statement, values: [project.projectId], rowMode: 'array' });
    return rows.flat();
  };

  it('has the requested number of identities with six traits each, and three more in its deleted environment', async () => {
    const counts = await countRows(database.url, project.projectId);
    expect(counts).toMatchObject({ identities: IDENTITIES + 3, deletedIdentities: 3, traits: 6 * (IDENTITIES + 3) });
  });

  it('has overrides on one identity in twenty, standard and multivariate, in each environment', async () => {
    const rows = await values(`
      SELECT count(DISTINCT s.identity_id)::int, count(DISTINCT s.environment_id)::int, count(DISTINCT f.type)::int
      FROM features_featurestate AS s JOIN features_feature AS f ON f.id = s.feature_id
      WHERE f.project_id = $1 AND s.identity_id IS NOT NULL AND s.environment_id <> ${project.environments[3]!.id}`);
    expect(rows).toEqual([IDENTITIES / 20, 3, 3]);
  });

  it('has a v2-versioned and a soft-deleted environment and a server key for each', async () => {
    expect(project.environments.map(({ versioned, deleted }) => [versioned, deleted])).toEqual([
      [false, false],
      [false, false],
      [true, false],
      [false, true],
    ]);
    const keys = await values(`
      SELECT k.key FROM environments_environmentapikey AS k JOIN environments_environment AS e ON e.id = k.environment_id
      WHERE e.project_id = $1 ORDER BY e.id`);
    expect(keys).toEqual(project.environments.map(({ serverKey }) => serverKey));
  });

  it('has a neighbour a tenth of its size with the same identifiers, interleaved ids and different values', async () => {
    const shared = await client.query(
      `SELECT count(*)::int AS identities, bool_and(b.id = a.id + 1) AS adjacent, bool_or(ta.string_value <> tb.string_value) AS other
       FROM environments_identity AS a JOIN environments_environment AS ea ON ea.id = a.environment_id AND ea.project_id = $1
       JOIN environments_identity AS b USING (identifier)
       JOIN environments_environment AS eb ON eb.id = b.environment_id AND eb.project_id = $2
       JOIN environments_trait AS ta ON ta.identity_id = a.id AND ta.trait_key = 'plan'
       JOIN environments_trait AS tb ON tb.identity_id = b.id AND tb.trait_key = 'plan'
       WHERE ea.deleted_at IS NULL`,
      [project.projectId, project.neighbour.projectId],
    );
    // All 300 of the neighbour except one, whose identifier is too long in the first project.
    expect(shared.rows[0]).toEqual({ identities: 299, adjacent: true, other: true });
  });

  it('has strings that look like numbers, Unicode beyond the basic plane, NULLs and stale siblings', async () => {
    const [numeric, emoji, nulls, stale, types] = await values(`
      SELECT count(*) FILTER (WHERE value_type = 'unicode' AND string_value ~ '^-?[0-9]+$')::int,
        count(DISTINCT i.id) FILTER (WHERE i.identifier ~ '😀')::int,
        count(*) FILTER (WHERE value_type = 'unicode' AND string_value IS NULL)::int,
        count(*) FILTER (WHERE value_type = 'unicode' AND integer_value IS NOT NULL)::int, count(DISTINCT value_type)::int
      FROM environments_trait AS t JOIN environments_identity AS i ON i.id = t.identity_id
      JOIN environments_environment AS e ON e.id = i.environment_id WHERE e.project_id = $1`);
    expect(Math.min(numeric, emoji, nulls, stale)).toBeGreaterThan(0);
    expect(types).toBe(4);
  });

  it('has exactly the announced number of identities that Edge cannot store', async () => {
    let unstorable = 0;
    for await (const { storable } of expectedDocuments(database.url, project.projectId)) if (!storable) unstorable++;
    expect(unstorable).toBe(project.unmigratable);
    expect(unstorable).toBe(IDENTITIES / 100);
  });

  it('advances the sequences, so that Core can insert more rows', async () => {
    const inserted = await values(`
      INSERT INTO environments_identity (identifier, created_date, environment_id, system_traits)
      SELECT 'next', now(), max(id), '{}' FROM environments_environment WHERE project_id = $1 RETURNING id > (SELECT max(id) FROM environments_identity)`);
    expect(inserted).toEqual([true]);
  });
});

describe('Seeding a project', () => {
  const documents = async (url: string, projectId: number) => {
    const texts: string[] = [];
    for await (const { document } of expectedDocuments(url, projectId)) texts.push(canonicalText(document));
    return texts.sort();
  };

  it('produces the same rows every time, and different rows for another seed', async () => {
    await using first = await createDatabase();
    await using second = await createDatabase();
    await using third = await createDatabase();
    const { projectId } = await seedProject(first.url, { identities: 200 });
    await seedProject(second.url, { identities: 200 });
    await seedProject(third.url, { identities: 200, seed: 2 });
    const rows = await documents(first.url, projectId);
    expect(rows).toHaveLength(200);
    expect(await documents(second.url, projectId)).toEqual(rows);
    expect(await documents(third.url, projectId)).not.toEqual(rows);
  });

  it('can be repeated in one database: the second project is added beside the first', async () => {
    await using database = await createDatabase();
    const first = await seedProject(database.url, { identities: 100 });
    const before = await documents(database.url, first.projectId);
    const second = await seedProject(database.url, { identities: 60_000, neighbours: 0 });
    expect(await countRows(database.url, second.projectId)).toMatchObject({ identities: 60_003 });
    expect(await documents(database.url, first.projectId)).toEqual(before);
  });
});
