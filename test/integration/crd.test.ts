import { EDGE_MIGRATIONS } from '@edge-migration/contract/edge-migration/api.ts';
import { createClient, type KubernetesClient, type Resource } from '@edge-migration/kubernetes/client.ts';
import { ApiError } from '@edge-migration/kubernetes/errors.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { KubeConfig } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { kubernetes } from '../cluster/shared.ts';
import { installCrd } from './crd.ts';

const NAMESPACES: Resource = { group: '', version: 'v1', plural: 'namespaces', kind: 'Namespace', namespaced: false };
const namespace = `crd-${process.pid}`;
let client: KubernetesClient;

beforeAll(async () => {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromFile((await kubernetes()).kubeconfig);
  client = createClient({ kubeConfig, clock: systemClock, userAgent: 'crd-test' });
  await installCrd(client);
  await client.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
});

afterAll(async () => {
  await client.delete(NAMESPACES, { name: namespace });
  await client.close();
});

const manifest = (spec: Record<string, unknown>, name = 'project-42') => ({
  apiVersion: 'edge.flagsmith.com/v1alpha1',
  kind: 'EdgeMigration',
  metadata: { name, namespace },
  spec,
});

/** The message of the rejection, or undefined when the API server accepts it. */
async function refusal(spec: Record<string, unknown>, name?: string): Promise<string | undefined> {
  try {
    await client.create(EDGE_MIGRATIONS, manifest(spec, name), { dryRun: true });
    return undefined;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return error.message;
  }
}

describe('a manifest of an EdgeMigration', () => {
  test('with only a project id gets all defaults', async () => {
    const created = await client.create(EDGE_MIGRATIONS, manifest({ projectId: 42 }), { dryRun: true });
    expect(created['spec']).toEqual({
      projectId: 42,
      mode: 'Migrate',
      suspend: false,
      copy: { parallelism: 4, pageSize: 1000, maxWriteUnitsPerSecond: 4000, onConflict: 'KeepEdge' },
      replay: { windowSeconds: 2_419_200 },
      verify: { afterCopy: 'Report', atDeadline: 'Report', maxReadUnitsPerSecond: 4000, clearIdentifiers: false },
    });
  });

  test.each<[string, Record<string, unknown>]>([
    [
      'the smallest values',
      {
        projectId: 1,
        copy: { parallelism: 1, pageSize: 10, maxWriteUnitsPerSecond: 10 },
        replay: { windowSeconds: 0 },
      },
    ],
    [
      'the largest values',
      {
        projectId: 2_147_483_647,
        copy: { parallelism: 64, pageSize: 5000, maxWriteUnitsPerSecond: 400_000, onConflict: 'CoreWins' },
        replay: { windowSeconds: 31_536_000 },
      },
    ],
    ['mode Plan', { projectId: 42, mode: 'Plan' }],
    ['regions to compare', { projectId: 42, verify: { regions: ['us-east-2', 'us-gov-west-1'] } }],
    ['a retry token', { projectId: 42, retry: 'after-incident_17.b' }],
  ])('with %s is accepted', async (_, spec) => {
    expect(await refusal(spec, `project-${spec['projectId']}`)).toBeUndefined();
  });

  test.each<[string, Record<string, unknown>, RegExp]>([
    ['no project id', {}, /spec\.projectId: Required value/],
    ['a project id of 0', { projectId: 0 }, /greater than or equal to 1/],
    ['a project id beyond 32 bits', { projectId: 2_147_483_648 }, /less than or equal to 2147483647|int32/],
    ['a project id as text', { projectId: '42' }, /must be of type integer/],
    ['an unknown mode', { projectId: 42, mode: 'Preview' }, /supported values: "Migrate", "Plan"/],
    ['an empty retry token', { projectId: 42, retry: '' }, /spec\.retry/],
    ['a retry token of 64 characters', { projectId: 42, retry: 'x'.repeat(64) }, /may not be more than 63/],
    ['a retry token with an empty part', { projectId: 42, retry: 'a..b' }, /spec\.retry/],
    ['a retry token that begins with a dot', { projectId: 42, retry: '.a' }, /spec\.retry/],
    ['a retry token with a wildcard', { projectId: 42, retry: 'a.>' }, /spec\.retry/],
    ['no pods', { projectId: 42, copy: { parallelism: 0 } }, /spec\.copy\.parallelism.*greater than or equal to 1/],
    ['65 pods', { projectId: 42, copy: { parallelism: 65 } }, /less than or equal to 64/],
    ['pages of 9', { projectId: 42, copy: { pageSize: 9 } }, /spec\.copy\.pageSize/],
    ['pages of 5001', { projectId: 42, copy: { pageSize: 5001 } }, /spec\.copy\.pageSize/],
    ['9 write units', { projectId: 42, copy: { parallelism: 1, maxWriteUnitsPerSecond: 9 } }, /maxWriteUnitsPerSecond/],
    ['400001 write units', { projectId: 42, copy: { maxWriteUnitsPerSecond: 400_001 } }, /maxWriteUnitsPerSecond/],
    [
      'write units too few for its pods',
      { projectId: 42, copy: { parallelism: 10, maxWriteUnitsPerSecond: 49 } },
      /must be at least 5 for each of copy\.parallelism pods/,
    ],
    [
      'an unknown conflict rule',
      { projectId: 42, copy: { onConflict: 'EdgeWins' } },
      /supported values: "KeepEdge", "CoreWins"/,
    ],
    ['a window below 0', { projectId: 42, replay: { windowSeconds: -1 } }, /windowSeconds/],
    ['a window above a year', { projectId: 42, replay: { windowSeconds: 31_536_001 } }, /windowSeconds/],
    ['an invalid region', { projectId: 42, verify: { regions: ['Ohio'] } }, /spec\.verify\.regions/],
    ['a region twice', { projectId: 42, verify: { regions: ['us-east-2', 'us-east-2'] } }, /Duplicate value/],
    ['an unknown verification', { projectId: 42, verify: { afterCopy: 'Sometimes' } }, /supported values/],
  ])('with %s is rejected with the rule that it breaks', async (_, spec, message) => {
    expect(await refusal(spec)).toMatch(message);
  });

  test("with a name other than its project's is rejected, and told the right name", async () => {
    expect(await refusal({ projectId: 42 }, 'project-43')).toMatch(/name must be project-<projectId>/);
    expect(await refusal({ projectId: 42 }, 'my-migration')).toMatch(/name must be project-<projectId>/);
  });
});

describe('a stored EdgeMigration', () => {
  test('keeps its project, may change from Plan to Migrate but not back, and has a status subresource', async () => {
    await client.create(EDGE_MIGRATIONS, manifest({ projectId: 77, mode: 'Plan' }, 'project-77'));
    const reference = { namespace, name: 'project-77' };
    const edit = (spec: Record<string, unknown>) => client.patch(EDGE_MIGRATIONS, reference, { spec });
    await expect(edit({ projectId: 78 })).rejects.toThrow(/projectId must not be changed/);
    await edit({ mode: 'Migrate' });
    await expect(edit({ mode: 'Plan' })).rejects.toThrow(/mode must not go from Migrate back to Plan/);
    await client.patch(EDGE_MIGRATIONS, reference, { status: { phase: 'Forged' } });
    expect((await client.get(EDGE_MIGRATIONS, reference))?.['status']).toBeUndefined();
    await client.patch(EDGE_MIGRATIONS, reference, { status: { phase: 'Copying' } }, { subresource: 'status' });
    expect((await client.get(EDGE_MIGRATIONS, reference))?.['status']).toEqual({ phase: 'Copying' });
  });
});
