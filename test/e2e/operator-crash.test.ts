import { beforeAll, describe, expect, test } from 'vitest';
import type { ManagedProcess } from '../cluster/processes.ts';
import { waitFor } from '../cluster/wait.ts';
import { type Fault, isWrite, type KubernetesCall } from '../faults/kubernetes-proxy.ts';
import { isRetired, nameCall, projectOf, useWorld } from './operator-setup.ts';
import { type Description, NAMESPACE, TENANT } from './operator-world.ts';

const MINUTE = 60_000;
/** A write that a restart made superfluous is tried again in other lives; this many are enough for the rarest. */
const MOST_ROUNDS = 6;
const LIVES_OF_RARE_WRITES = 6;

interface Life {
  readonly name: string;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly namespace: string;
  /** Whether it has come to its end. */
  isOver(projectId: number): Promise<boolean>;
  /** The action that leads it there, once its Job exists. */
  readonly ending?: (projectId: number) => Promise<void>;
}

/** The operator dies right before or after this write, once, for the first project that reaches it. */
interface Crash {
  readonly write: string;
  readonly when: 'before' | 'after';
  projectIds: readonly number[];
  done: boolean;
}

interface Golden {
  readonly life: Life;
  readonly writes: readonly string[];
  readonly end: Description;
}

const copy: Life = {
  name: 'a copy',
  spec: { copy: { parallelism: 2 } },
  namespace: NAMESPACE,
  isOver: (projectId) => isRetired(setup.world, projectId),
};
const plan: Life = {
  name: 'a plan',
  spec: { mode: 'Plan' },
  namespace: NAMESPACE,
  // The work is done before its progress is recorded, and an operator may be killed in between.
  isOver: async (projectId) =>
    (await isRetired(setup.world, projectId)) && (await setup.world.migration(projectId))?.status.copy === undefined,
};
const deletedCopy: Life = {
  name: 'a copy for another namespace that is deleted',
  spec: {},
  namespace: TENANT,
  ending: (projectId) => setup.world.delete(projectId, TENANT),
  isOver: async (projectId) =>
    (await setup.world.migration(projectId, TENANT)) === undefined &&
    (await setup.world.describe(projectId)).objects.length === 0,
};

const setup = useWorld();
let operator: ManagedProcess;
let replacing: Promise<void> | undefined;

beforeAll(() => startOperator());

const writesOf = (projectId: number) => setup.proxy.writes().filter((call) => projectOf(call) === projectId);

async function startOperator(): Promise<void> {
  operator = await setup.world.startOperator(await setup.world.operatorKubeconfig(setup.proxy), {
    EDGE_MIGRATION_CONCURRENCY: '8',
    EDGE_MIGRATION_WATCH_NAMESPACES: `${NAMESPACE},${TENANT}`,
    EDGE_MIGRATION_LOG_LEVEL: 'warn',
  });
}

/** Kills the operator at once; its successor need not wait for the dead one's lease. */
function crashOperator(): void {
  operator.signal('SIGKILL');
  replacing ??= operator.exited
    .then(() => setup.world.deleteLease())
    .then(startOperator)
    .finally(() => {
      replacing = undefined;
    });
}

function crashAt(crashes: readonly Crash[]) {
  return (call: KubernetesCall): Fault | undefined => {
    if (!isWrite(call)) return undefined;
    const isIt = ({ done, projectIds, write }: Crash) =>
      !done && projectIds.includes(projectOf(call)) && write === nameCall(call);
    const crash = crashes.find(isIt);
    if (crash === undefined) return undefined;
    crash.done = true;
    if (crash.when === 'after') return { kind: 'loseAnswer', meanwhile: async () => crashOperator() };
    crashOperator();
    return { kind: 'reset' };
  };
}

/** Takes each of the projects through this life, to its end. */
async function live(life: Life, projectIds: readonly number[]): Promise<void> {
  await Promise.all(projectIds.map((projectId) => setup.world.create(projectId, life.spec, life.namespace)));
  for (const projectId of projectIds) {
    if (life.ending === undefined) break;
    const hasJob = async () => (await setup.world.jobs(projectId)).length > 0;
    await waitFor(hasJob, { for: 'a Job', timeoutMs: 5 * MINUTE, intervalMs: 200 });
    await life.ending(projectId);
  }
  for (const projectId of projectIds) {
    const isOver = () => life.isOver(projectId);
    await waitFor(isOver, { for: `the end of ${life.name}`, timeoutMs: 10 * MINUTE, intervalMs: 500 });
  }
}

/** The writes of an undisturbed life, and the objects at its end. */
async function liveUndisturbed(life: Life): Promise<Golden> {
  const [projectId = 0] = await setup.world.addProjects(1);
  await live(life, [projectId]);
  const writes = [...new Set(writesOf(projectId).map(nameCall))];
  return { life, writes, end: await setup.world.describe(projectId, life.namespace) };
}

/** Repeats lives until each of the writes had a crash before and after it, and returns all projects. */
async function liveWithCrashes({ life, writes }: Golden): Promise<number[]> {
  const crashes = writes.flatMap((write) =>
    (['before', 'after'] as const).map((when): Crash => ({ write, when, projectIds: [], done: false })),
  );
  const all: number[] = [];
  for (let round = 1; round <= MOST_ROUNDS; round++) {
    const left = crashes.filter(({ done }) => !done);
    if (left.length === 0) break;
    const each = round === 1 ? 1 : LIVES_OF_RARE_WRITES;
    const projectIds = await setup.world.addProjects(left.length * each);
    left.forEach((crash, index) => {
      crash.projectIds = projectIds.slice(index * each, (index + 1) * each);
    });
    setup.proxy.inject(crashAt(left));
    await live(life, projectIds);
    all.push(...projectIds);
  }
  setup.proxy.inject(undefined);
  await replacing;
  expect(crashes.filter(({ done }) => !done)).toEqual([]);
  return all;
}

/** Names of the requested Jobs, without repetition. */
const jobsOf = (projectId: number) => [
  ...new Set(
    writesOf(projectId)
      .filter(({ verb, resource }) => verb === 'create' && resource === 'jobs')
      .map(({ name }) => name),
  ),
];

async function expectSameEnd({ life, end }: Golden, projectIds: readonly number[]): Promise<void> {
  for (const projectId of projectIds) {
    expect(await setup.world.describe(projectId, life.namespace)).toEqual(end);
    expect(jobsOf(projectId)).toEqual([expect.stringMatching(/-(copy|plan)-1$/)]);
  }
}

describe('an operator that is killed before and after each of its writes', { timeout: 20 * MINUTE }, () => {
  test('brings a copy to the same end, with one Job', async () => {
    setup.pods.hold(false);
    const golden = await liveUndisturbed(copy);
    expect(golden.end.objects.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['Job']));
    await expectSameEnd(golden, await liveWithCrashes(golden));
  });

  test("brings a plan to the same end, although its writes differ from a copy's", async () => {
    setup.pods.hold(false);
    const golden = await liveUndisturbed(plan);
    const writes = golden.writes.filter((write) => /Planned|^delete|^create/.test(write));
    expect(writes.length).toBeGreaterThanOrEqual(3);
    await expectSameEnd(golden, await liveWithCrashes({ ...golden, writes }));
  });

  test(`removes everything left of ${deletedCopy.name}`, async () => {
    setup.pods.hold(true);
    const golden = await liveUndisturbed(deletedCopy);
    const deletes = golden.writes.filter((write) => write.startsWith('delete '));
    expect(deletes).toEqual([
      'delete jobs project-copy-1',
      'delete configmaps project-copy',
      'delete configmaps project-record',
    ]);
    await expectSameEnd(golden, await liveWithCrashes({ ...golden, writes: deletes }));
  });
});
