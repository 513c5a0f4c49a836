import { afterAll, beforeAll, expect, vi } from 'vitest';
import { createDatabase, dynamodb } from '../cluster/shared.ts';
import { waitFor } from '../cluster/wait.ts';
import { keepEnvironmentHistory } from '../core/history.ts';
import { createTables } from '../edge/tables.ts';
import type { KubernetesCall, KubernetesProxy } from '../faults/kubernetes-proxy.ts';
import { type PodRunner, startPodRunner } from './operator-pods.ts';
import { type Description, startWorld, type World } from './operator-world.ts';

const MINUTE = 60_000;

export interface OperatorSetup {
  world: World;
  pods: PodRunner;
  /** URL of Core's database. */
  databaseUrl: string;
  proxy: KubernetesProxy;
  /** A kubeconfig with the operator's rights, through the proxy. */
  kubeconfig: string;
}

/** Gives a test file an API server, a pod runner, and a proxy for its operator. */
export function useWorld(): OperatorSetup {
  const setup = {} as OperatorSetup;
  let resources: AsyncDisposableStack | undefined;

  beforeAll(async () => {
    // For operators in this process.
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'local');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'local');
    await using starting = new AsyncDisposableStack();
    const database = starting.use(await createDatabase());
    await keepEnvironmentHistory(database.url);
    setup.databaseUrl = database.url;
    const tables = starting.use(await createTables(await dynamodb()));
    setup.world = starting.use(await startWorld({ databaseUrl: database.url, tables }));
    setup.pods = starting.use(startPodRunner(setup.world.client));
    setup.proxy = await setup.world.startProxy();
    setup.kubeconfig = await setup.world.operatorKubeconfig(setup.proxy);
    resources = starting.move();
  });

  afterAll(() => resources?.disposeAsync());
  return setup;
}

/** The project of a call; 0 if it concerns none. */
export const projectOf = ({ name = '' }: Pick<KubernetesCall, 'name'>) =>
  Number(/^project-(\d+)\b/.exec(name)?.[1] ?? 0);

/** A call in words that are equal for all projects: `apply edgemigrations/status project Copying`. */
export function nameCall({ verb, resource, name = '', body }: KubernetesCall): string {
  const what = name.replace(/^project-\d+(-[0-9a-f]{8}\b)?/, 'project').replace(/\.[0-9a-f]{16}$/, '');
  const { phase = '' } = (body['status'] ?? {}) as { phase?: string };
  const data = Object.keys((body['data'] ?? {}) as object).join('+');
  return [verb, resource, what, phase, data, body['reason'] ?? ''].filter((part) => part !== '').join(' ');
}

/** Whether the outcome is in the status, unneeded objects are gone, and the garbage collector is done. */
export async function isRetired(world: World, projectId: number, namespace?: string): Promise<boolean> {
  const { status, objects } = await world.describe(projectId, namespace);
  const isOver = status?.conditions?.some(({ type, status }) => type === 'Succeeded' && status === 'True') ?? false;
  return isOver && objects.every(({ kind, metadata }) => kind !== 'Secret' && !/-(copy|plan)$/.test(metadata.name));
}

/** The objects at the end of a copy without any fault. */
export async function liveUndisturbed(world: World): Promise<Description> {
  const [projectId = 0] = await world.addProjects(1);
  await world.create(projectId);
  await waitFor(() => isRetired(world, projectId), { for: 'its end', timeoutMs: 4 * MINUTE, intervalMs: 200 });
  return world.describe(projectId);
}

/** Waits for the end of each project, and checks that it matches the end without any fault. */
export async function expectEnd(world: World, projectIds: readonly number[], end: Description): Promise<void> {
  for (const projectId of projectIds) {
    const isOver = () => isRetired(world, projectId);
    await waitFor(isOver, { for: `the end of project ${projectId}`, timeoutMs: 8 * MINUTE, intervalMs: 200 });
    expect(await world.describe(projectId)).toEqual(end);
  }
}

export async function waitUntilCopying(world: World, projectId: number): Promise<void> {
  const isCopying = async () => (await world.migration(projectId))?.status.phase === 'Copying';
  await waitFor(isCopying, { for: 'the copy to be under way', timeoutMs: 4 * MINUTE, intervalMs: 100 });
}
