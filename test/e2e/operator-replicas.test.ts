import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { JOBS } from '@edge-migration/kubernetes/resources.ts';
import { describe, expect, test } from 'vitest';
import { waitFor } from '../cluster/wait.ts';
import { isWrite, type KubernetesCall, type KubernetesProxy } from '../faults/kubernetes-proxy.ts';
import { createSkewedClock, runOperatorHere } from './operator-run.ts';
import { isRetired, projectOf, useWorld } from './operator-setup.ts';
import { NAMESPACE } from './operator-world.ts';

const MINUTE = 60_000;
/** Long enough for a busy machine to renew in time, short enough to wait for. */
const LEASE = {
  EDGE_MIGRATION_LEASE_DURATION_SECONDS: '30',
  EDGE_MIGRATION_RENEW_DEADLINE_SECONDS: '22',
  EDGE_MIGRATION_RETRY_PERIOD_SECONDS: '1',
};

/** For leaders that hand over by themselves: none may lose it, however busy the machine is. */
const LONG_LEASE = {
  ...LEASE,
  EDGE_MIGRATION_LEASE_DURATION_SECONDS: '120',
  EDGE_MIGRATION_RENEW_DEADLINE_SECONDS: '90',
};

const setup = useWorld();

const isLease = ({ resource }: KubernetesCall) => resource === 'leases';
/** Its writes as the leader: a follower writes at most to the Lease. */
const doingsOf = (proxy: KubernetesProxy) => proxy.writes().filter((call) => !isLease(call));

async function startReplicas() {
  const { world } = setup;
  const proxies = [await world.startProxy(), await world.startProxy()] as const;
  const kubeconfigs = await Promise.all(proxies.map((proxy) => world.operatorKubeconfig(proxy)));
  return { first: proxies[0], second: proxies[1], kubeconfigs };
}

async function waitForDoing(proxy: KubernetesProxy, projectId: number): Promise<void> {
  const isDoing = () => doingsOf(proxy).some((call) => projectOf(call) === projectId);
  await waitFor(isDoing, { for: `writes for project ${projectId}`, timeoutMs: 4 * MINUTE });
}

async function create(): Promise<number> {
  const [projectId = 0] = await setup.world.addProjects(1);
  await setup.world.create(projectId);
  return projectId;
}

async function expectEnd(projectId: number): Promise<void> {
  const isOver = () => isRetired(setup.world, projectId);
  await waitFor(isOver, { for: `the end of project ${projectId}`, timeoutMs: 3 * MINUTE, intervalMs: 200 });
  expect(await setup.world.jobs(projectId)).toHaveLength(1);
}

describe('two operator replicas', { timeout: 10 * MINUTE }, () => {
  test('create one Job and one writer when the leader freezes during a copy and wakes after its lease has expired', async () => {
    const { world, pods } = setup;
    const { first, second, kubeconfigs } = await startReplicas();
    pods.hold(true);
    const leader = await world.startOperator(kubeconfigs[0] ?? '', LEASE);
    const projectId = await create();
    await waitForDoing(first, projectId);
    const follower = await world.startOperator(kubeconfigs[1] ?? '', LEASE);
    const isFollowing = () => second.calls.some((call) => isLease(call) && call.verb === 'get');
    await waitFor(isFollowing, { for: 'the other to stand for election', timeoutMs: 3 * MINUTE });

    leader.signal('SIGSTOP');
    // It gets no answers either: everything it sees when it wakes is old.
    const another = await create();
    await waitForDoing(second, another);
    const frozen = first.writes().length;
    leader.signal('SIGCONT');
    await leader.exited;
    pods.hold(false);
    await expectEnd(projectId);
    await expectEnd(another);

    const successor = doingsOf(second)[0]?.time ?? 0;
    expect(doingsOf(first).filter(({ time }) => time > successor)).toEqual([]);
    expect(
      first
        .writes()
        .slice(frozen)
        .filter((call) => !isLease(call)),
    ).toEqual([]);
    await follower.stop();
  });

  test('with clocks ten minutes apart do not disturb each other, and hand over with one Job', async () => {
    const { world, pods } = setup;
    const { first, second, kubeconfigs } = await startReplicas();
    pods.hold(true);
    const settings = { ...LONG_LEASE, EDGE_MIGRATION_RELIST_SECONDS: '2' };
    const ahead = { kubeconfig: kubeconfigs[0] ?? '', clock: createSkewedClock(5 * MINUTE), settings };
    const behind = { kubeconfig: kubeconfigs[1] ?? '', clock: createSkewedClock(-5 * MINUTE), settings };
    await using leader = runOperatorHere(world, ahead);
    const projectId = await create();
    await waitForDoing(first, projectId);
    await using follower = runOperatorHere(world, behind);
    const renewals = () => first.writes().filter(isLease).length;
    const before = renewals();
    // Several leases by any clock but the monotonic one.
    await waitFor(() => renewals() > before + 10, { for: 'the leader to renew', timeoutMs: 3 * MINUTE });
    expect(doingsOf(second)).toEqual([]);

    await leader.stop();
    const another = await create();
    await waitForDoing(second, another);
    pods.hold(false);
    await expectEnd(projectId);
    await expectEnd(another);
    const successor = doingsOf(second)[0]?.time ?? 0;
    expect(doingsOf(first).filter(({ time }) => time > successor)).toEqual([]);
    expect([leader.losses, follower.losses]).toEqual([0, 0]);
  });
});

/** The shipped template with the next release's image. */
async function writeNextTemplate(image: string): Promise<string> {
  const { world } = setup;
  const template = JSON.parse(await readFile(world.environment()['EDGE_MIGRATION_WORKER_TEMPLATE_FILE'] ?? '', 'utf8'));
  template.spec.containers[0].image = image;
  const file = join(world.folder, 'next-template.json');
  await writeFile(file, JSON.stringify(template));
  return file;
}

async function readImages(projectId: number): Promise<string[]> {
  const { world } = setup;
  const jobs = await Promise.all(
    (await world.jobs(projectId)).map((name) => world.client.get(JOBS, { namespace: NAMESPACE, name })),
  );
  return jobs.flatMap((job) => {
    const spec = job?.['spec'] as { template: { spec: { containers: { image: string }[] } } } | undefined;
    return spec?.template.spec.containers.map(({ image }) => image) ?? [];
  });
}

describe('an operator upgrade', { timeout: 10 * MINUTE }, () => {
  test('during a copy lets its Job complete unchanged; later Jobs use the new template', async () => {
    const { world, pods } = setup;
    const { first, second, kubeconfigs } = await startReplicas();
    const image = 'edge-migration:next';
    const settings = { ...LONG_LEASE, EDGE_MIGRATION_WORKER_TEMPLATE_FILE: await writeNextTemplate(image) };
    pods.hold(true);
    const old = await world.startOperator(kubeconfigs[0] ?? '', LONG_LEASE);
    const projectId = await create();
    const hasJob = async () => (await world.jobs(projectId)).length === 1;
    await waitFor(hasJob, { for: 'the Job', timeoutMs: 3 * MINUTE });
    await world.condition([projectId], 'Accepted', 'True');
    await old.stop();

    await using next = runOperatorHere(world, { kubeconfig: kubeconfigs[1] ?? '', settings });
    const another = await create();
    await waitForDoing(second, another);
    pods.hold(false);
    await expectEnd(projectId);
    await expectEnd(another);
    expect(await readImages(projectId)).not.toContain(image);
    expect(await readImages(another)).toEqual([image]);
    const jobsOf = (calls: readonly KubernetesCall[]) =>
      calls.filter((call) => call.resource === 'jobs' && projectOf(call) === projectId);
    expect(jobsOf(first.writes())).toHaveLength(1);
    // The Job of the old release is neither changed nor replaced; once done, it is marked for removal.
    expect(jobsOf(second.writes()).map(({ verb }) => verb)).not.toContain('create');
    expect(next.losses).toBe(0);
  });
});

describe('settled migrations', { timeout: 10 * MINUTE }, () => {
  test('cause no writes while everything is listed ten times over, including plans and failures', async () => {
    const { world, pods } = setup;
    const proxy = await world.startProxy();
    const kubeconfig = await world.operatorKubeconfig(proxy);
    pods.hold(false);
    await using _operator = runOperatorHere(world, {
      kubeconfig,
      settings: { ...LEASE, EDGE_MIGRATION_RELIST_SECONDS: '1' },
    });
    const [plan = 0, suspended = 0, missing = 0, ...copies] = await world.addProjects(13);
    await Promise.all(copies.map((projectId) => world.create(projectId)));
    await world.create(plan, { mode: 'Plan' });
    await world.create(suspended, { suspend: true });
    await world.create(missing + 1_000_000);
    for (const projectId of [...copies, plan]) {
      const isOver = () => isRetired(world, projectId);
      await waitFor(isOver, { for: `the end of project ${projectId}`, timeoutMs: 3 * MINUTE, intervalMs: 200 });
    }
    await world.condition([suspended], 'Suspended', 'True');
    await world.condition([missing + 1_000_000], 'Accepted', 'False');
    const resources = ['edgemigrations', 'jobs', 'configmaps', 'pods'];
    // It reports every minute how the installation is.
    const isReport = ({ name }: KubernetesCall) => name === 'edge-migration-installation';
    const isDoing = (call: KubernetesCall) => isWrite(call) && !isLease(call) && !isReport(call);
    /** Whether each resource has been listed this often since the call. */
    const areListed = (times: number, from: number) => {
      const lists = proxy.calls.slice(from).filter(({ verb }) => verb === 'list');
      return resources.every((each) => lists.filter(({ resource }) => resource === each).length >= times);
    };
    // Recent changes may still cause writes.
    const isSettled = () => areListed(2, proxy.calls.findLastIndex(isDoing) + 1);
    await waitFor(isSettled, { for: 'the last writes', timeoutMs: 4 * MINUTE });
    const from = proxy.calls.length;
    await waitFor(() => areListed(10, from), { for: 'ten lists', timeoutMs: 4 * MINUTE });
    expect(proxy.calls.slice(from).filter(isDoing)).toEqual([]);
  });
});
