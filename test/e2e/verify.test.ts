import type { Item } from '@edge-migration/identity/edge/document/document.ts';
import { openEdge } from '@edge-migration/identity/edge/table/table.ts';
import { CORRUPTIONS } from '@edge-migration/operator/verify/worker/testing/corruptions.ts';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { type SeededProject, seedProject } from '../core/seed.ts';
import { install } from './install.ts';
import type { Target } from './target.ts';

const MINUTES = 60_000;
const IDENTITIES = 2_000;

let installation: Target;
let seeded: SeededProject;

beforeAll(async () => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'local');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'local');
  installation = await install({ pageMaxAgeSeconds: 8, optionalTables: true });
  seeded = await seedProject(installation.databaseUrl, { identities: IDENTITIES, unmigratable: 0.005 });
});

afterAll(async () => {
  await installation?.stop();
  vi.unstubAllEnvs();
});

const verified = (status: string) =>
  installation.condition(seeded.projectId, 'Verified', status, { timeoutMs: 4 * MINUTES });

/** Requests an action by `spec.retry` and waits until it is done. */
async function ask(retry: string) {
  await installation.apply(seeded.projectId, { retry });
  return waitFor(
    async () => {
      const found = await installation.migration(seeded.projectId);
      return found?.status.verification?.token === retry && found.status;
    },
    { for: retry, timeoutMs: 4 * MINUTES, intervalMs: 200 },
  );
}

async function readReport(name: string): Promise<Record<string, string>> {
  const object = await installation.kubectl([
    ...['get', 'configmap', name, '-n', installation.namespace, '-o', 'json'],
  ]);
  return JSON.parse(object).data;
}

describe('the comparison of a migration', { timeout: 10 * MINUTES }, () => {
  test('runs after its copy, finds it equal, and accounts for every document', async () => {
    await installation.apply(seeded.projectId);
    const { status } = await verified('True');
    const last = status.verification?.last;
    expect(last).toMatchObject({
      trigger: 'AfterCopy',
      mode: 'Report',
      identitiesTotal: IDENTITIES,
      identitiesEqual: IDENTITIES - seeded.unmigratable,
      identitiesSkipped: seeded.unmigratable,
    });
    expect(last?.coreChecksum).toBe(last?.edgeChecksum);
    const report = await readReport(last?.reportName ?? '');
    expect(report['report.txt']).toContain('Nothing is left that differs.');
    expect(JSON.parse(report['report.json'] ?? '')).toMatchObject({ identitiesTotal: IDENTITIES });
    const audit = await readReport(status.audit?.reportName ?? '');
    expect(audit['audit.txt']).toContain(last?.coreChecksum);
    expect(JSON.parse(audit['audit.json'] ?? '').comparisons).toHaveLength(1);
    expect(JSON.stringify([report, audit])).not.toContain('@');
  });

  test('finds damaged documents on request, repairs them on request, and then finds them equal', async () => {
    const edge = openEdge(installation.tables.settings);
    const items = (await installation.tables.scan()).filter((item) => (item['identity_traits']?.L?.length ?? 0) > 1);
    for (const [index, { apply, needsOverride }] of CORRUPTIONS.entries()) {
      if (!needsOverride) await apply(edge, items[index] as Item, seeded.environments[0]?.id ?? 0);
    }
    edge.close();
    const asked = await ask('verify-1');
    expect(asked.conditions?.find(({ type }) => type === 'Verified')).toMatchObject({ status: 'False' });
    const report = await readReport(asked.verification?.last?.reportName ?? '');
    expect((report['samples.jsonl'] ?? '').trim().split('\n').length).toBeGreaterThan(10);
    expect(report['samples.jsonl']).not.toContain('@');
    const repaired = await ask('repair-1');
    expect(repaired.verification?.last?.repaired).toBeGreaterThan(10);
    const again = await ask('verify-2');
    expect(again.conditions?.find(({ type }) => type === 'Verified')).toMatchObject({ status: 'True' });
  });

  test('leaves nothing behind when the migration is deleted', async () => {
    await installation.delete(seeded.projectId);
    const left = () =>
      installation.kubectl([
        ...['get', 'jobs,configmaps,secrets', '-n', installation.namespace, '-o', 'name'],
        ...['-l', `edge.flagsmith.com/project-id=${seeded.projectId}`],
      ]);
    await expect.poll(async () => (await left()).trim(), { timeout: 6 * MINUTES }).toBe('');
  });
});
