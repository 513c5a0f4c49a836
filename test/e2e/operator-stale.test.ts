import type { Status } from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesObject } from '@edge-migration/kubernetes/client.ts';
import { CONFIG_MAPS, JOBS } from '@edge-migration/kubernetes/resources.ts';
import { afterEach, describe, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import type { KubernetesCall, WatchFrame } from '../faults/kubernetes-proxy.ts';
import { runOperatorHere } from './operator-run.ts';
import { expectEnd, isRetired, liveUndisturbed, projectOf, useWorld, waitUntilCopying } from './operator-setup.ts';
import { type Description, NAMESPACE } from './operator-world.ts';

const MINUTE = 60_000;
const MOST_ROUNDS = 4;
/** Relists every three seconds on a machine that is not too busy to lead. */
const SETTINGS = {
  EDGE_MIGRATION_LEASE_DURATION_SECONDS: '12',
  EDGE_MIGRATION_RENEW_DEADLINE_SECONDS: '8',
  EDGE_MIGRATION_RETRY_PERIOD_SECONDS: '1',
  EDGE_MIGRATION_RELIST_SECONDS: '3',
};

const setup = useWorld();

afterEach(() => {
  setup.proxy.serveThePast();
  setup.proxy.filterWatches(undefined);
  setup.pods.hold(false);
});

const startOperator = (settings = {}) =>
  runOperatorHere(setup.world, { kubeconfig: setup.kubeconfig, settings: { ...SETTINGS, ...settings } });

async function addProject(): Promise<number> {
  const [projectId = 0] = await setup.world.addProjects(1);
  return projectId;
}

async function waitUntilGone(projectId: number): Promise<void> {
  const isGone = async () => (await setup.world.describe(projectId)).objects.length === 0;
  await waitFor(isGone, { for: 'everything of it to be gone', timeoutMs: 3 * MINUTE, intervalMs: 100 });
}

interface CountingJob extends KubernetesObject {
  readonly spec: { readonly parallelism: number; readonly completions: number };
  readonly status?: { readonly active?: number };
}

async function listJobs(projectId: number): Promise<readonly CountingJob[]> {
  const labelSelector = `edge.flagsmith.com/project-id=${projectId}`;
  return (await setup.world.client.list(JOBS, { namespace: NAMESPACE, labelSelector })).items as CountingJob[];
}

/** Whether the Job controller, which lags behind the operator, has counted all pods of a project in their Job. */
async function areCounted(projectId: number): Promise<boolean> {
  const [job] = await listJobs(projectId);
  return job !== undefined && job.status?.active === Math.min(job.spec.parallelism, job.spec.completions);
}

/** Uid and version of a project's Jobs, by name: an old view may change neither. */
const identify = async (projectId: number): Promise<string[]> =>
  (await listJobs(projectId)).map(({ metadata }) => `${metadata.name} ${metadata.uid} ${metadata.resourceVersion}`);

/** Waits until the operator has seen the past long enough to act on it: it lists it repeatedly. */
async function waitForLists(count: number): Promise<void> {
  const { proxy } = setup;
  const lists = () => proxy.calls.filter(({ verb, resource }) => verb === 'list' && resource === 'edgemigrations');
  const before = lists().length;
  const isEnough = () => lists().length >= before + count;
  await waitFor(isEnough, { for: 'the past to be listed', timeoutMs: 4 * MINUTE, intervalMs: 100 });
}

/** An operator that sees the past changes nothing of a project, and completes it once it sees the present. */
async function expectLeftAlone(
  projectId: number,
  isPast: (call: KubernetesCall) => boolean,
  end: Description,
): Promise<void> {
  const { world, proxy, pods } = setup;
  await waitFor(() => areCounted(projectId), { for: 'the pods to be counted in their Job', timeoutMs: 3 * MINUTE });
  const jobs = await identify(projectId);
  const description = await world.describe(projectId);
  proxy.serveThePast(isPast);
  await using _operator = startOperator();
  await waitForLists(3);
  expect(await identify(projectId)).toEqual(jobs);
  expect(await world.describe(projectId)).toEqual(description);
  proxy.serveThePast();
  pods.hold(false);
  await expectEnd(world, [projectId], end);
}

const isAnything = () => true;
const isMigrations = ({ resource }: KubernetesCall) => resource === 'edgemigrations';

describe('an operator that starts with a stale view', { timeout: 15 * MINUTE }, () => {
  test('from before the plan leaves plan and Job alone, and continues when its view catches up', async () => {
    const { world, proxy, pods } = setup;
    let end: Description;
    const projectId = await addProject();
    {
      await using _operator = startOperator();
      end = await liveUndisturbed(world);
    }
    await world.create(projectId);
    await proxy.recordPast();
    pods.hold(true);
    {
      await using _operator = startOperator();
      await waitUntilCopying(world, projectId);
    }
    await expectLeftAlone(projectId, isAnything, end);
  });

  test('of an earlier EdgeMigration of the same name leaves its successor alone', async () => {
    const { world, proxy, pods } = setup;
    let end: Description;
    const projectId = await addProject();
    {
      await using _operator = startOperator();
      end = await liveUndisturbed(world);
      pods.hold(true);
      await world.create(projectId);
      await waitUntilCopying(world, projectId);
      await proxy.recordPast();
      await world.delete(projectId);
      await waitUntilGone(projectId);
      await world.create(projectId);
      await waitUntilCopying(world, projectId);
    }
    await expectLeftAlone(projectId, isAnything, end);
  });

  test('from before the EdgeMigration was created does not treat its Job as an orphan', async () => {
    const { world, proxy, pods } = setup;
    let end: Description;
    const projectId = await addProject();
    pods.hold(false);
    {
      await using _operator = startOperator();
      end = await liveUndisturbed(world);
      await proxy.recordPast();
      pods.hold(true);
      await world.create(projectId);
      await waitUntilCopying(world, projectId);
    }
    await expectLeftAlone(projectId, isMigrations, end);
  });
});

describe('an operator whose watches lose events', { timeout: 15 * MINUTE }, () => {
  /** Names frames, unique per project: `jobs MODIFIED 2`. */
  function createNames() {
    const counts = new Map<string, number>();
    return ({ type, object }: WatchFrame, { resource }: KubernetesCall) => {
      const projectId = projectOf({ name: object.metadata?.name });
      const key = `${projectId} ${resource} ${type}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
      return { projectId, name: `${resource} ${type} ${counts.get(key)}` };
    };
  }

  test('reaches the same end, with one Job, whichever single event is lost', async () => {
    const { world, proxy } = setup;
    await using _operator = startOperator();
    const nameFrame = createNames();
    const names = new Set<string>();
    proxy.filterWatches((frame, call) => {
      const { projectId, name } = nameFrame(frame, call);
      if (projectId !== 0) names.add(name);
      return true;
    });
    const end = await liveUndisturbed(world);
    const events = [...names];
    const lost = new Set<string>();
    // The number of changes varies, and a watch does not repeat what a list has found.
    for (let round = 1; round <= MOST_ROUNDS && lost.size < events.length; round++) {
      const left = events.filter((name) => !lost.has(name));
      const projectIds = await world.addProjects(left.length);
      const nameAgain = createNames();
      proxy.filterWatches((frame, call) => {
        const { projectId, name } = nameAgain(frame, call);
        const isLost = projectId !== 0 && left[projectIds.indexOf(projectId)] === name;
        if (isLost) lost.add(name);
        return !isLost;
      });
      await Promise.all(projectIds.map((projectId) => world.create(projectId)));
      await expectEnd(world, projectIds, end);
      for (const projectId of projectIds) expect(await world.jobs(projectId)).toHaveLength(1);
    }
    const isCertain = (name: string) => !name.includes('MODIFIED') || name.endsWith(' 1');
    expect([...lost]).toEqual(expect.arrayContaining(events.filter(isCertain)));
  });

  test('about checkpoints still reports what was read, and lists the skipped identities', async () => {
    const { world, proxy } = setup;
    let end: Description;
    {
      await using _operator = startOperator();
      end = await liveUndisturbed(world);
    }
    // No list is due before the copy has ended.
    await using _operator = startOperator({ EDGE_MIGRATION_RELIST_SECONDS: '3600' });
    proxy.filterWatches(({ object }) => !/-copy-range-\d+$/.test(object.metadata?.name ?? ''));
    const projectId = await addProject();
    await world.create(projectId);
    await expectEnd(world, [projectId], end);
    expect(await world.jobs(projectId)).toHaveLength(1);
  });

  test('copies the range of a removed checkpoint again, and reaches the same numbers', async () => {
    const { world, proxy } = setup;
    let end: Description;
    {
      await using _operator = startOperator();
      end = await liveUndisturbed(world);
    }
    const projectId = await addProject();
    const isCheckpoint = ({ object }: WatchFrame) => /-copy-range-\d+$/.test(object.metadata?.name ?? '');
    let isRemoved = false;
    proxy.filterWatches(async (frame) => {
      if (frame.type !== 'ADDED' || !isCheckpoint(frame) || isRemoved) return true;
      isRemoved = true;
      await world.client.delete(CONFIG_MAPS, { namespace: NAMESPACE, name: frame.object.metadata?.name ?? '' });
      return false;
    });
    await using _operator = startOperator();
    await world.create(projectId);
    await waitFor(() => isRetired(world, projectId), { for: 'its end', timeoutMs: 4 * MINUTE, intervalMs: 200 });
    const { status } = await world.describe(projectId);
    const { attempt, ...copy } = (status as Status).copy ?? {};
    const { attempt: _, ...expected } = (end.status as Status).copy ?? {};
    expect(attempt).toBe(2);
    expect(copy).toEqual(expected);
    expect((status as Status).skipped).toEqual((end.status as Status).skipped);
  });

  test('stops working for an EdgeMigration whose deletion it missed, and leaves nothing behind', async () => {
    const { world, proxy, pods } = setup;
    await using _operator = startOperator();
    pods.hold(true);
    const projectId = await addProject();
    await world.create(projectId);
    await waitUntilCopying(world, projectId);
    proxy.filterWatches(({ type }, { resource }) => resource !== 'edgemigrations' || type !== 'DELETED');
    const created = proxy.writes().filter(({ verb, resource }) => verb === 'create' && resource === 'jobs').length;
    await world.delete(projectId);
    await waitForLists(2);
    await waitUntilGone(projectId);
    expect(proxy.writes().filter(({ verb, resource }) => verb === 'create' && resource === 'jobs')).toHaveLength(
      created,
    );
  });

  test('does nothing for the old EdgeMigration when it learns late that it was created again', async () => {
    const { world, proxy, pods } = setup;
    await using _operator = startOperator();
    const end = await liveUndisturbed(world);
    pods.hold(true);
    const projectId = await addProject();
    await world.create(projectId);
    await waitUntilCopying(world, projectId);
    const { promise: released, resolve: release } = Promise.withResolvers<boolean>();
    proxy.serveThePast();
    proxy.filterWatches((_, { resource }) => (resource === 'edgemigrations' ? released : true));
    proxy.inject((call) => (isMigrations(call) && call.verb === 'list' ? held(released) : undefined));
    const before = await world.migration(projectId);
    await world.delete(projectId);
    await waitUntilGone(projectId);
    await world.create(projectId);
    // The old one's objects are gone, so its name is reconciled; they must not be recreated.
    const isAsked = () =>
      proxy.calls.some((call) => isMigrations(call) && call.verb === 'get' && projectOf(call) === projectId);
    await waitFor(isAsked, { for: 'the API server to be asked', timeoutMs: 3 * MINUTE, intervalMs: 100 });
    const old = before?.uid.slice(0, 8) ?? '';
    expect((await world.jobs(projectId)).filter((name) => name.includes(old))).toEqual([]);
    release(true);
    proxy.inject(undefined);
    pods.hold(false);
    await expectEnd(world, [projectId], end);
  });
});

async function held(released: Promise<unknown>): Promise<undefined> {
  await released;
  return undefined;
}
