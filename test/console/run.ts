/** The console with its page in this process, and accounts that may use it. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { consoleConfiguration } from '@edge-migration/console/config.ts';
import { runConsole } from '@edge-migration/console/process.ts';
import { EDGE_MIGRATIONS, GROUP } from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesClient, Resource } from '@edge-migration/kubernetes/client.ts';
import type { KubeConfig } from '@edge-migration/kubernetes/client-node.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { parseEnvironment } from '@edge-migration/runtime/configuration.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { createFolder, removeFolder } from '../cluster/reaper.ts';

export interface ConsoleOptions {
  /** Kubeconfig of the console's own account. */
  readonly kubeConfig: KubeConfig;
  /** The namespace whose EdgeMigrations it shows, and where it creates them. */
  readonly namespace: string;
}

const BUILD = fileURLToPath(new URL('../../console/page/build.ts', import.meta.url));

/** Builds the page and serves it with the API on a free port of 127.0.0.1. */
export async function startConsole({
  kubeConfig,
  namespace,
}: ConsoleOptions): Promise<{ url: string } & AsyncDisposable> {
  await using started = new AsyncDisposableStack();
  const page = createFolder('console-page');
  started.defer(() => removeFolder(page));
  await promisify(execFile)(process.execPath, [BUILD, page]);
  const stopping = new AbortController();
  const { promise: listening, resolve: onListening } = Promise.withResolvers<string>();
  const running = runConsole({
    configuration: parseEnvironment(consoleConfiguration, {
      EDGE_MIGRATION_NAMESPACE: namespace,
      EDGE_MIGRATION_WATCH_NAMESPACES: namespace,
      EDGE_MIGRATION_PAGE_DIRECTORY: page,
      EDGE_MIGRATION_LISTEN_HOST: '127.0.0.1',
      EDGE_MIGRATION_LISTEN_PORT: '0',
      EDGE_MIGRATION_METRICS_HOST: '127.0.0.1',
      EDGE_MIGRATION_METRICS_PORT: '0',
    }),
    ...{ kubeConfig, clock: systemClock, signal: stopping.signal, onListening },
    logger: createLogger('console', 'silent'),
  });
  started.defer(async () => {
    stopping.abort(new Error('the console is not needed any more'));
    await running;
  });
  const url = await Promise.race([listening, running.then(() => Promise.reject(new Error('The console ended')))]);
  const stack = started.move();
  return { url, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const SERVICE_ACCOUNTS: Resource = {
  group: '',
  version: 'v1',
  plural: 'serviceaccounts',
  kind: 'ServiceAccount',
  namespaced: true,
};
const rbac = (plural: string, kind: string): Resource => ({
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  plural,
  kind,
  namespaced: true,
});

export const VIEW = ['get', 'list', 'watch'];
export const EDIT = [...VIEW, 'create', 'patch'];

/** Creates an account with these verbs on the namespace's EdgeMigrations and what they name. @returns its token */
export async function createUser(
  client: KubernetesClient,
  namespace: string,
  name: string,
  verbs: readonly string[],
): Promise<string> {
  const metadata = { namespace, name };
  await client.create(SERVICE_ACCOUNTS, { apiVersion: 'v1', kind: 'ServiceAccount', metadata });
  const head = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata };
  const rules = [
    { apiGroups: [GROUP], resources: [EDGE_MIGRATIONS.plural], verbs },
    { apiGroups: [''], resources: ['configmaps'], verbs: ['get'] },
  ];
  await client.create(rbac('roles', 'Role'), { ...head, kind: 'Role', rules });
  await client.create(rbac('rolebindings', 'RoleBinding'), {
    ...{ ...head, kind: 'RoleBinding', roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name } },
    subjects: [{ kind: 'ServiceAccount', name, namespace }],
  });
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 86_400 } };
  const answer = await client.create(SERVICE_ACCOUNTS, { ...request, metadata }, { subresource: 'token' });
  return (answer['status'] as { token: string }).token;
}
