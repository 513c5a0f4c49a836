import { afterAll, beforeAll, vi } from 'vitest';
import { createDatabase, dynamodb } from '../cluster/shared.ts';
import { createTables } from '../edge/tables.ts';
import type { KubernetesCall, KubernetesProxy } from '../faults/kubernetes-proxy.ts';
import { type PodRunner, startPodRunner } from './operator-pods.ts';
import { startWorld, type World } from './operator-world.ts';

export interface OperatorSetup {
  world: World;
  pods: PodRunner;
  proxy: KubernetesProxy;
  /** A kubeconfig with the operator's rights, by way of the proxy. */
  kubeconfig: string;
}

/** Gives a test file an API server, what runs its pods, and a proxy for its operator. */
export function useWorld(): OperatorSetup {
  const setup = {} as OperatorSetup;
  let resources: AsyncDisposableStack | undefined;

  beforeAll(async () => {
    // For operators that run in this process.
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'local');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'local');
    await using starting = new AsyncDisposableStack();
    const database = starting.use(await createDatabase());
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

/** The project that a call is about; 0 where it is about none. */
export const projectOf = ({ name = '' }: Pick<KubernetesCall, 'name'>) =>
  Number(/^project-(\d+)\b/.exec(name)?.[1] ?? 0);

/** A call in words that are the same for every project: `apply edgemigrations/status project Copying`. */
export function nameCall({ verb, resource, name = '', body }: KubernetesCall): string {
  const what = name.replace(/^project-\d+(-[0-9a-f]{8}\b)?/, 'project').replace(/\.[0-9a-f]{16}$/, '');
  const { phase = '' } = (body['status'] ?? {}) as { phase?: string };
  const data = Object.keys((body['data'] ?? {}) as object).join('+');
  return [verb, resource, what, phase, data, body['reason'] ?? ''].filter((part) => part !== '').join(' ');
}

/** Whether the outcome is in the status, what is no longer needed is gone, and the garbage collector has done its part. */
export async function isRetired(world: World, projectId: number, namespace?: string): Promise<boolean> {
  const { status, objects } = await world.describe(projectId, namespace);
  const isOver = status?.conditions?.some(({ type, status }) => type === 'Succeeded' && status === 'True') ?? false;
  return isOver && objects.every(({ kind, metadata }) => kind !== 'Secret' && !/-(copy|plan)$/.test(metadata.name));
}
