import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { waitFor } from '../cluster/wait.ts';
import { readTestConfiguration } from '../configuration.ts';
import { type SeededProject, seedProject } from '../core/seed.ts';
import { compareStores } from '../e2e/comparison.ts';
import { install } from '../e2e/install.ts';
import { CORE_API } from '../e2e/replay-parts.ts';
import type { Target } from '../e2e/target.ts';
import { RESTRICTED } from './services.ts';

const MINUTES = 60_000;
const RATE = 100;
const SECONDS = 120;

const loadReport = z.object({
  sent: z.int(),
  lost: z.array(z.int()),
  retries: z.int(),
  seconds: z.number(),
  p50: z.number(),
  p99: z.number(),
  max: z.number(),
});

let installation: Target;
let seeded: SeededProject;

beforeAll(async () => {
  installation = await install({ pageMaxAgeSeconds: 8, replay: true });
  seeded = await seedProject(installation.databaseUrl, { identities: 5_000, neighbours: 20 });
});

afterAll(() => installation?.stop());

async function startLoad(): Promise<void> {
  const environment = {
    EDGE_MIGRATION_URL: `http://flagsmith-api.${CORE_API.namespace}.svc:8000`,
    EDGE_MIGRATION_ENVIRONMENT_KEY: seeded.environments[0]?.apiKey ?? '',
    EDGE_MIGRATION_RATE: String(RATE),
    EDGE_MIGRATION_SECONDS: String(SECONDS),
  };
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'load', namespace: CORE_API.namespace },
    spec: {
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      containers: [
        {
          name: 'load',
          image: readTestConfiguration().FIXTURE_IMAGE,
          imagePullPolicy: 'IfNotPresent',
          args: ['test/kind/pods/load.ts'],
          env: Object.entries(environment).map(([name, value]) => ({ name, value })),
          securityContext: { ...RESTRICTED, runAsUser: 65532 },
        },
      ],
    },
  };
  await installation.kubectl(['apply', '-f', '-'], { input: JSON.stringify(pod) });
  await waitFor(async () => (await readLoad('{.status.phase}')) === 'Running', { for: 'the load', timeoutMs: MINUTES });
}

const readLoad = (path: string) =>
  installation.kubectl(['get', 'pod', 'load', '-n', CORE_API.namespace, `-o=jsonpath=${path}`]);

async function restart(namespace: string, workload: string): Promise<void> {
  await installation.kubectl(['rollout', 'restart', workload, '-n', namespace]);
  await installation.kubectl(['rollout', 'status', workload, '-n', namespace, '--timeout=180s']);
}

/** Committed writes of the load. */
async function countTraits(): Promise<number> {
  const client = new Client(installation.databaseUrl);
  await client.connect();
  try {
    const { rows } = await client.query(
      `SELECT count(*)::int AS count FROM environments_trait t JOIN environments_identity i ON i.id = t.identity_id
        WHERE i.identifier LIKE 'load-%'`,
    );
    return rows[0].count;
  } finally {
    await client.end();
  }
}

/** @throws Error with the differences */
async function agree(): Promise<true> {
  const { databaseUrl, tables } = installation;
  const { missing, different } = await compareStores(databaseUrl, seeded.projectId, tables, {
    anyTraitOrder: true,
  });
  if (missing.length === 0 && different.length === 0) return true;
  const traits = (await tables.get(different[0] ?? ''))?.['identity_traits']?.L?.map(({ M }) => M?.['trait_key']?.S);
  const first = `${different[0]} has ${traits?.join(' ')}`;
  throw new Error(`${missing.length} missing (${missing.slice(0, 3)}), ${different.length} different: ${first}`);
}

describe('a rolling restart of everything during a migration', { timeout: 12 * MINUTES }, () => {
  test(`at ${RATE} writes a second loses no write, neither in Core nor on Edge`, async () => {
    await startLoad();
    await installation.apply(seeded.projectId, {
      copy: { parallelism: 2, pageSize: 200, maxWriteUnitsPerSecond: 600 },
    });
    await installation.condition(seeded.projectId, 'Capturing', 'True', { timeoutMs: 2 * MINUTES });
    await restart(installation.namespace, 'deployment/edge-migration-operator');
    await restart(CORE_API.namespace, 'deployment/flagsmith-api');
    await restart(installation.namespace, 'deployment/edge-migration-applier');
    await restart(installation.namespace, 'statefulset/edge-migration-nats');
    const hasEnded = async () => (await readLoad('{.status.phase}')) === 'Succeeded';
    await waitFor(hasEnded, { for: 'the load to end', timeoutMs: 6 * MINUTES, intervalMs: 1_000 });
    const report = loadReport.parse(JSON.parse(await installation.kubectl(['logs', 'load', '-n', CORE_API.namespace])));
    console.log('load:', JSON.stringify(report));
    expect(report.lost).toEqual([]);
    expect(await countTraits()).toBe(report.sent);
    await installation.condition(seeded.projectId, 'Copied', 'True', { timeoutMs: 3 * MINUTES });
    await waitFor(agree, { for: 'Edge to agree with Core', timeoutMs: 5 * MINUTES, intervalMs: 2_000 });
  });
});
