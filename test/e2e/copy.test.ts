import { createHash } from 'node:crypto';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type SeededProject, seedProject } from '../core/seed.ts';
import { compareStores } from './comparison.ts';
import { install } from './install.ts';
import type { Target } from './target.ts';

const MINUTES = 60_000;

let installation: Target;
let seeded: SeededProject;

beforeAll(async () => {
  installation = await install({
    pageMaxAgeSeconds: 20,
    dynamodbFaults: true,
  });
  seeded = await seedProject(installation.databaseUrl, { identities: 5_000, unmigratable: 0.004 });
});

afterAll(() => installation?.stop());

/** Core's tables as one text, to prove that they are unchanged. */
async function fingerprintCore(): Promise<string> {
  const client = new Client({ connectionString: installation.databaseUrl });
  await client.connect();
  try {
    const hash = createHash('sha256');
    for (const table of [
      'environments_environment',
      'environments_identity',
      'environments_trait',
      'features_featurestate',
      'projects_project',
    ]) {
      const { rows } = await client.query(`SELECT md5(string_agg(t::text, '|' ORDER BY id)) AS digest FROM ${table} t`);
      hash.update(rows[0].digest ?? '');
    }
    return hash.digest('hex');
  } finally {
    await client.end();
  }
}

describe('an applied EdgeMigration', { timeout: 10 * MINUTES }, () => {
  test('copies every identity of the project and nothing else, and leaves Core unchanged', async () => {
    const before = await fingerprintCore();
    await installation.apply(seeded.projectId);
    const { status } = await installation.condition(seeded.projectId, 'Succeeded', 'True', { timeoutMs: 8 * MINUTES });
    expect(status.copy).toMatchObject({
      identitiesTotal: seeded.identities,
      identitiesRead: seeded.identities,
      identitiesCopied: seeded.identities - seeded.unmigratable,
      rangesFailed: 0,
    });
    const comparison = await compareStores(installation.databaseUrl, seeded.projectId, installation.tables);
    expect(comparison).toMatchObject({ missing: [], different: [], foreign: [], unstorable: seeded.unmigratable });
    expect(comparison.equal).toBe(seeded.identities - seeded.unmigratable);
    expect(await fingerprintCore()).toBe(before);
  });

  test('lists each identity that cannot be stored with its reason, and counts them', async () => {
    const found = await installation.migration(seeded.projectId);
    expect(found?.status.skipped?.total).toBe(seeded.unmigratable);
    const { data } = JSON.parse(
      await installation.kubectl([
        'get',
        'configmap',
        found?.status.skipped?.reportName ?? '',
        '-n',
        installation.namespace,
        '-o',
        'json',
      ]),
    );
    const lines = data['skipped.jsonl']
      .trim()
      .split('\n')
      .map((line: string) => JSON.parse(line));
    expect(lines).toHaveLength(seeded.unmigratable);
    expect(new Set(lines.map(({ identityId }: { identityId: number }) => identityId)).size).toBe(seeded.unmigratable);
    for (const line of lines)
      expect(line).toMatchObject({ reason: expect.stringMatching(/^[A-Z]\w+$/), detail: expect.any(String) });
  });

  test('leaves behind only its outcome, the reports and, for a day, the Jobs', async () => {
    const { kubectl } = installation;
    const names = async (kind: string) =>
      (
        await kubectl([
          'get',
          kind,
          '-n',
          installation.namespace,
          '-l',
          'app.kubernetes.io/managed-by=edge-migration',
          '-o',
          'name',
        ])
      ).trim();
    await expect.poll(() => names('secrets'), { timeout: 120_000 }).toBe('');
    await installation.condition(seeded.projectId, 'Verified', 'True', { timeoutMs: 4 * MINUTES });
    const kept =
      /^configmap\/\S+-audit\nconfigmap\/\S+-record\nconfigmap\/\S+-skipped\nconfigmap\/\S+-verify-1-report$/;
    await expect.poll(() => names('configmaps'), { timeout: 120_000 }).toMatch(kept);
    expect(await names('jobs')).toMatch(/-copy-1\n\S+-verify-1-1$/);
  });

  test('whose status is removed reports the same again without copying again', async () => {
    const { status } = await installation.condition(seeded.projectId, 'Verified', 'True', { timeoutMs: 4 * MINUTES });
    const reference = [`project-${seeded.projectId}`, '-n', installation.namespace];
    const empty = ['--type=json', '-p', '[{"op":"remove","path":"/status"}]'];
    await installation.kubectl(['patch', 'em', ...reference, '--subresource=status', ...empty]);
    const again = await installation.condition(seeded.projectId, 'Succeeded', 'True', { timeoutMs: 3 * MINUTES });
    expect(again.status.copy).toEqual(status.copy);
    expect(again.status.skipped).toEqual(status.skipped);
    expect(again.status.verification?.last).toEqual(status.verification?.last);
    expect(await installation.kubectl(['get', 'jobs', '-n', installation.namespace, '-o', 'name'])).not.toMatch(
      /-copy-2/,
    );
  });

  test('that is deleted and applied again writes nothing, and reaches the same result', async () => {
    await installation.delete(seeded.projectId);
    const before = await installation.dynamodb?.writes();
    await installation.apply(seeded.projectId);
    const { status } = await installation.condition(seeded.projectId, 'Succeeded', 'True', { timeoutMs: 8 * MINUTES });
    expect(status.copy?.identitiesUnchanged).toBe(seeded.identities - seeded.unmigratable);
    expect(status.copy?.identitiesCopied).toBe(0);
    expect(await installation.dynamodb?.writes()).toBe(before);
  });
});
