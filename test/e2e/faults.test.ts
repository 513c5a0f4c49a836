import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { type SeededProject, seedProject } from '../core/seed.ts';
import { compareStores } from './comparison.ts';
import { install } from './install.ts';
import type { Target } from './target.ts';

const MINUTES = 60_000;
const IDENTITIES = 3_000;

let installation: Target;

beforeAll(async () => {
  installation = await install({
    pageMaxAgeSeconds: 12,
    // A new leader takes over from a killed one within seconds.
    operatorEnvironment: {
      EDGE_MIGRATION_LEASE_DURATION_SECONDS: '5',
      EDGE_MIGRATION_RENEW_DEADLINE_SECONDS: '4',
      EDGE_MIGRATION_RETRY_PERIOD_SECONDS: '1',
    },
    dynamodbFaults: true,
  });
});

afterEach(() => installation.dynamodb?.disturb([]));

afterAll(() => installation?.stop());

const PACE = { parallelism: 2, pageSize: 25 };
/** So slow that no copy ends before its test lets it: each would take two and a half minutes. */
const SLOW = { copy: { ...PACE, maxWriteUnitsPerSecond: 60 } };
const READ_BEFORE = 50;

/** A copy that takes a while. */
async function startSlowCopy(): Promise<SeededProject> {
  const seeded = await seedProject(installation.databaseUrl, { identities: IDENTITIES, neighbours: 20 });
  await installation.apply(seeded.projectId, SLOW);
  const isCopying = async () => {
    const { copy } = (await installation.migration(seeded.projectId))?.status ?? {};
    return (copy?.identitiesRead ?? 0) > READ_BEFORE;
  };
  await waitFor(isCopying, { for: 'the copy to be under way', timeoutMs: 4 * MINUTES, intervalMs: 50 });
  return seeded;
}

/** Lets the copy complete at full speed, compares every document, and returns the status. */
async function expectComplete({ projectId }: SeededProject) {
  await installation.apply(projectId, { suspend: false, copy: PACE });
  const { status } = await installation.condition(projectId, 'Succeeded', 'True', { timeoutMs: 8 * MINUTES });
  const comparison = await compareStores(installation.databaseUrl, projectId, installation.tables);
  // Documents of earlier projects are in the same table.
  expect({ ...comparison, foreign: [] }).toMatchObject({ missing: [], different: [], equal: IDENTITIES });
  expect(status.copy).toMatchObject({ identitiesRead: IDENTITIES, rangesFailed: 0 });
  const { identitiesCopied = 0, identitiesUnchanged = 0 } = status.copy ?? {};
  expect(identitiesCopied + identitiesUnchanged).toBe(IDENTITIES);
  return status;
}

async function findLeader(): Promise<string> {
  const path = '-o=jsonpath={.spec.holderIdentity}';
  const holder = await installation.kubectl([
    'get',
    'lease',
    'edge-migration-operator',
    '-n',
    installation.namespace,
    path,
  ]);
  return holder.split('_')[0] ?? '';
}

async function findCopyPods({ projectId }: SeededProject): Promise<string[]> {
  const { kubectl } = installation;
  const selector = `edge.flagsmith.com/project-id=${projectId}`;
  const names = await kubectl([
    'get',
    'pods',
    '-n',
    installation.namespace,
    '-l',
    selector,
    '--field-selector=status.phase=Running',
    '-o=jsonpath={.items[*].metadata.name}',
  ]);
  return names.split(' ').filter((name) => name !== '');
}

describe('a running copy', { timeout: 12 * MINUTES }, () => {
  test('whose worker is killed is completed by another pod from its last page', async () => {
    const seeded = await startSlowCopy();
    const [pod = ''] = await findCopyPods(seeded);
    await installation.kill(installation.namespace, pod, 'worker');
    const failed = async () =>
      (await installation.kubectl(['get', 'pod', pod, '-n', installation.namespace, '-o=jsonpath={.status.phase}'])) ===
      'Failed';
    await waitFor(failed, { for: 'the pod to be seen as failed' });
    await expectComplete(seeded);
  });

  test('whose leading operator is killed is taken over by the other replica', async () => {
    const seeded = await startSlowCopy();
    const leader = await findLeader();
    await installation.kill(installation.namespace, leader, 'operator');
    await expectComplete(seeded);
    const { kubectl } = installation;
    const jobs = await kubectl([
      'get',
      'jobs',
      '-n',
      installation.namespace,
      '-l',
      `edge.flagsmith.com/project-id=${seeded.projectId},edge.flagsmith.com/component=copy`,
      '-o',
      'name',
    ]);
    expect(jobs.trim().split('\n')).toHaveLength(1);
  });

  test('resumes when the killed API server is back', async () => {
    const seeded = await startSlowCopy();
    await installation.crashApiServer();
    await expectComplete(seeded);
  });

  test('slows down and says so when DynamoDB throttles and fails, and loses nothing', async () => {
    const seeded = await startSlowCopy();
    await installation.dynamodb?.disturb([
      { every: 5, fault: { kind: 'throttle' } },
      { every: 7, fault: { kind: 'throttleStatements', indexes: [0, 3, 4] } },
      { every: 11, fault: { kind: 'answer', status: 500, type: 'InternalServerError' } },
      { every: 13, fault: { kind: 'loseAnswer' } },
      { every: 17, fault: { kind: 'reset' } },
    ]);
    const status = await expectComplete(seeded);
    expect(status.copy?.throttledRequests).toBeGreaterThan(0);
  });

  test('stops when the EdgeMigration is suspended, and goes on when it is resumed', async () => {
    const seeded = await startSlowCopy();
    await installation.apply(seeded.projectId, { suspend: true, ...SLOW });
    await installation.condition(seeded.projectId, 'Suspended', 'True', { timeoutMs: 4 * MINUTES });
    const isStopped = async () => (await findCopyPods(seeded)).length === 0;
    await waitFor(isStopped, { for: 'the pods to stop', timeoutMs: 4 * MINUTES });
    await expectComplete(seeded);
  });

  test('stops when the EdgeMigration is deleted, and leaves the documents in place', async () => {
    const seeded = await startSlowCopy();
    await installation.delete(seeded.projectId);
    const { kubectl } = installation;
    const left = () =>
      kubectl([
        'get',
        'jobs,pods,configmaps,secrets',
        '-n',
        installation.namespace,
        '-l',
        `edge.flagsmith.com/project-id=${seeded.projectId}`,
        '-o',
        'name',
      ]);
    await waitFor(async () => (await left()).trim() === '', {
      for: 'everything of it to be gone',
      timeoutMs: 4 * MINUTES,
    });
    const { missing, equal } = await compareStores(installation.databaseUrl, seeded.projectId, installation.tables);
    expect(equal).toBeGreaterThan(READ_BEFORE);
    expect(missing.length).toBeGreaterThan(0);
  });
});
