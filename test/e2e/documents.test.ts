import { DIFFERENT, insertVectors, PROJECTS, SKIPPED, VECTORS } from '@edge-migration/identity/fixtures/vectors.ts';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canonicalText } from '../core/canonical.ts';
import { type SeededProject, seedProject } from '../core/seed.ts';
import { compareStores } from './comparison.ts';
import { install } from './install.ts';
import type { Target } from './target.ts';

const MINUTES = 60_000;
let installation: Target;

beforeAll(async () => {
  installation = await install({ pageMaxAgeSeconds: 15, optionalTables: true });
  await insertVectors(installation.databaseUrl);
});

afterAll(() => installation?.stop());

const readMetadata = async (projectId: number) =>
  (await installation.tables.scan(installation.tables.settings.projectMetadataTable)).find(
    (item) => item['id']?.N === String(projectId),
  );

describe("the documents that the Job writes for Flagsmith's own vectors", { timeout: 10 * MINUTES }, () => {
  beforeAll(async () => {
    for (const projectId of PROJECTS) {
      await installation.apply(projectId);
      await installation.condition(projectId, 'Succeeded', 'True', { timeoutMs: 8 * MINUTES });
    }
  }, 20 * MINUTES);

  test('equal what Flagsmith itself makes of them', async () => {
    const found = new Map((await installation.tables.scan()).map((item) => [item['django_id']?.N, item]));
    const same = VECTORS.filter(({ case: name }) => !(name in SKIPPED) && !DIFFERENT.includes(name));
    for (const { identity_id, document } of same) {
      expect(canonicalText(found.get(String(identity_id)) ?? {})).toBe(canonicalText(document ?? {}));
    }
  });

  test('exist for every identity except those that cannot be stored, which are listed with the expected reason', async () => {
    const expected = new Map<string, number>();
    for (const [name, reason] of Object.entries(SKIPPED)) {
      const { project_id } = VECTORS.find((vector) => vector.case === name) ?? expect.fail(name);
      if (project_id === PROJECTS[1]) expected.set(reason, (expected.get(reason) ?? 0) + 1);
    }
    const { status } = (await installation.migration(PROJECTS[1])) ?? expect.fail('gone');
    expect(new Map(status.skipped?.byReason.map(({ reason, count }) => [reason, count]))).toEqual(expected);
    for (const projectId of PROJECTS) {
      const { missing, different } = await compareStores(installation.databaseUrl, projectId, installation.tables);
      expect({ missing, different }).toEqual({ missing: [], different: [] });
    }
  });

  test('do not exist for another project', async () => {
    const keys = (await installation.tables.scan()).map((item) => item['environment_api_key']?.S);
    expect(keys).not.toContain('VecEnvOthFFFFFFFFFFFFF');
    expect(keys).not.toContain('VecEnvDelCCCCCCCCCCCCC');
  });

  test('have a row for local evaluation for each of their overrides', async () => {
    const documents = await installation.tables.scan();
    const rows = await installation.tables.scan(installation.tables.settings.environmentsV2Table);
    const expected = documents.flatMap((item) =>
      (item['identity_features']?.L ?? []).map(
        ({ M }) => `identity_override:${M?.['feature']?.M?.['id']?.N}:${item['identity_uuid']?.S}`,
      ),
    );
    expect(rows.map((row) => row['document_key']?.S).sort()).toEqual(expected.sort());
  });
});

describe('a plan', { timeout: 10 * MINUTES }, () => {
  let seeded: SeededProject;

  beforeAll(async () => {
    seeded = await seedProject(installation.databaseUrl, { identities: 2_000, unmigratable: 0.01 });
  });

  test('reports exactly what a migration would do, and writes nothing', async () => {
    const before = (await installation.tables.scan()).length;
    await installation.apply(seeded.projectId, { mode: 'Plan', copy: { maxWriteUnitsPerSecond: 1000 } });
    const { status } = await installation.condition(seeded.projectId, 'Succeeded', 'True', { timeoutMs: 4 * MINUTES });
    expect(status.phase).toBe('Planned');
    expect(status.plan).toMatchObject({
      identitiesTotal: seeded.identities,
      identitiesMigratable: seeded.identities - seeded.unmigratable,
      existingEqual: 0,
      existingDiffering: 0,
      existingEdgeBorn: 0,
    });
    const { writeUnits = 0, durationSeconds, documentBytes } = status.plan ?? {};
    expect(writeUnits).toBeGreaterThan(3 * seeded.identities * 0.9);
    expect(durationSeconds).toBe(Math.ceil(writeUnits / 1000));
    expect(documentBytes).toBeGreaterThan(300 * seeded.identities);
    expect(status.skipped?.total).toBe(seeded.unmigratable);
    expect((await installation.tables.scan()).length).toBe(before);
    expect(await readMetadata(seeded.projectId)).toBeUndefined();
  });

  test('matches what the migration then does, which the dashboard shows', async () => {
    await installation.apply(seeded.projectId, { mode: 'Migrate' });
    const isCopied = { timeoutMs: 6 * MINUTES };
    const { status } = await installation.condition(seeded.projectId, 'Copied', 'True', isCopied);
    expect(status.copy?.identitiesCopied).toBe(seeded.identities - seeded.unmigratable);
    expect(status.copy?.attempt).toBe(1);
    expect(status.copy?.documentBytes).toBe(status.plan?.documentBytes);
    expect(await readMetadata(seeded.projectId)).toMatchObject({
      migration_start_time: { S: expect.any(String) },
      migration_end_time: { S: expect.any(String) },
    });
    const { missing, different } = await compareStores(installation.databaseUrl, seeded.projectId, installation.tables);
    expect({ missing, different }).toEqual({ missing: [], different: [] });
  });

  test('that is made after the migration shows which documents are equal, different or only on Edge', async () => {
    await installation.delete(seeded.projectId);
    const client = new Client({ connectionString: installation.databaseUrl });
    await client.connect();
    await client.query(
      `UPDATE environments_trait SET value_type = 'unicode', string_value = 'changed in Core' WHERE id IN
         (SELECT min(t.id) FROM environments_trait t JOIN environments_identity i ON i.id = t.identity_id
           WHERE i.environment_id = ${seeded.environments[0]?.id} GROUP BY i.id ORDER BY 1 LIMIT 5)`,
    );
    await client.end();
    await installation.apply(seeded.projectId, { mode: 'Plan' });
    const { status } = await installation.condition(seeded.projectId, 'Succeeded', 'True', { timeoutMs: 4 * MINUTES });
    const { existingEqual = 0, existingDiffering = 0 } = status.plan ?? {};
    expect(existingDiffering).toBe(5);
    expect(existingEqual).toBe(seeded.identities - seeded.unmigratable - 5);
    expect(status.plan?.writeUnits).toBe(0);
  });
});
