/** A console with its page, on a real API server, whose admin plays the operator. */
import { EDGE_MIGRATIONS, GROUP } from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesClient, KubernetesObject } from '@edge-migration/kubernetes/client.ts';
import { enterRealApiServer } from '@edge-migration/kubernetes/testing/real-api-server.ts';
import { installCrd } from '../integration/crd.ts';
import type { FleetMember } from './fleet.ts';
import { createUser, EDIT, startConsole, VIEW } from './run.ts';

export interface ConsoleStage extends AsyncDisposable {
  /** With the cluster admin's rights. */
  readonly client: KubernetesClient;
  readonly namespace: string;
  readonly url: string;
  /** Tokens of a user who may create and change EdgeMigrations here, and of one who may only read them. */
  readonly tokens: { readonly editor: string; readonly viewer: string };
  migration(projectId: number): Promise<KubernetesObject | undefined>;
  /** Creates it if it does not exist, and sets its status. */
  put(member: FleetMember): Promise<void>;
}

export async function startConsoleStage(): Promise<ConsoleStage> {
  await using started = new AsyncDisposableStack();
  const { client, kubeConfig, namespace, leave } = await enterRealApiServer();
  started.defer(leave);
  await installCrd(client);
  const { url } = started.use(await startConsole({ kubeConfig, namespace }));
  const tokens = {
    editor: await createUser(client, namespace, 'editor', EDIT),
    viewer: await createUser(client, namespace, 'viewer', VIEW),
  };
  const stack = started.move();
  return {
    ...{ client, namespace, url, tokens },
    migration: (projectId) => client.get(EDGE_MIGRATIONS, { namespace, name: `project-${projectId}` }),
    put: (member) => put(client, namespace, member),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function put(client: KubernetesClient, namespace: string, { projectId, projectName, spec, status }: FleetMember) {
  const reference = { namespace, name: `project-${projectId}` };
  if ((await client.get(EDGE_MIGRATIONS, reference)) === undefined) {
    const annotations = projectName === null ? {} : { [`${GROUP}/project-name`]: projectName };
    const head = { apiVersion: `${GROUP}/${EDGE_MIGRATIONS.version}`, kind: EDGE_MIGRATIONS.kind };
    await client.create(EDGE_MIGRATIONS, { ...head, metadata: { ...reference, annotations }, spec });
  }
  if (status === undefined) return;
  const generation = (await client.get(EDGE_MIGRATIONS, reference))!.metadata.generation;
  const observed = { ...status, observedGeneration: generation };
  await client.patch(EDGE_MIGRATIONS, reference, { status: observed }, { subresource: 'status' });
}
