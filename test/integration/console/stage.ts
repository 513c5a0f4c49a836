import { randomUUID } from 'node:crypto';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { consoleConfiguration } from '@edge-migration/console/config.ts';
import { runConsole } from '@edge-migration/console/process.ts';
import { EDGE_MIGRATIONS, nameOf } from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesClient, KubernetesObject, Resource } from '@edge-migration/kubernetes/client.ts';
import { loadKubeConfig } from '@edge-migration/kubernetes/kube-config.ts';
import { apiVersion } from '@edge-migration/kubernetes/objects.ts';
import {
  enterRealApiServer,
  namespaces,
  roleBindings,
  serviceAccounts,
} from '@edge-migration/kubernetes/testing/real-api-server.ts';
import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import { parseEnvironment } from '@edge-migration/runtime/configuration.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { parseAllDocuments } from 'yaml';
import { writeKubeconfig } from '../../cluster/kubeconfig.ts';
import { createFolder, removeFolder } from '../../cluster/reaper.ts';
import { installCrd } from '../crd.ts';

const rbac = (plural: string, kind: string): Resource => ({
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  plural,
  kind,
  namespaced: false,
});
const clusterRoles = rbac('clusterroles', 'ClusterRole');
const clusterRoleBindings = rbac('clusterrolebindings', 'ClusterRoleBinding');

/** The rights of people; equal to operator/deploy/rbac-aggregate.yaml. */
type Role = 'edit' | 'view';

/** A console in this process with the shipped rights, on a real API server. */
export interface Stage extends AsyncDisposable {
  /** With the cluster admin's rights. */
  readonly client: KubernetesClient;
  readonly namespace: string;
  /** Another team's namespace. */
  readonly otherNamespace: string;
  readonly folder: string;
  /** URL of the first console. */
  readonly url: string;
  /** The complete log so far. */
  log(): string;
  /** Starts another one; returns its URL. */
  start(settings?: Readonly<Record<string, string>>, clock?: Clock): Promise<string>;
  /** Stops all consoles; a second call does nothing. */
  stop(): Promise<void>;
  /** A token of a new account with these rights. @param audiences by default the API server's own */
  addCaller(rights: Readonly<Record<string, Role>>, audiences?: readonly string[]): Promise<Account>;
  create(projectId: number, fields?: Fields): Promise<KubernetesObject>;
  migration(projectId: number, namespace?: string): Promise<KubernetesObject | undefined>;
  setStatus(projectId: number, status: Record<string, unknown>, namespace?: string): Promise<void>;
  /** Binds a user without an account, as named by a proxy. */
  bindUser(user: string, namespace: string, role: Role): Promise<void>;
  /** Lets the console impersonate this user. */
  allowImpersonation(user: string): Promise<void>;
}

export interface Account {
  readonly name: string;
  readonly user: string;
  readonly token: string;
  /** Revokes all rights. */
  revoke(): Promise<void>;
}

interface Fields {
  readonly namespace?: string;
  readonly annotations?: Record<string, string>;
  readonly labels?: Record<string, string>;
  readonly spec?: Record<string, unknown>;
  readonly status?: Record<string, unknown>;
}

export async function startStage(): Promise<Stage> {
  await using started = new AsyncDisposableStack();
  const { client, kubeConfig, namespace, leave } = await enterRealApiServer();
  started.defer(leave);
  await installCrd(client);
  const otherNamespace = `${namespace}-other`;
  await client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: otherNamespace } });
  started.defer(async () => void (await client.delete(namespaces, { name: otherNamespace })));
  const folder = createFolder('console');
  started.defer(() => removeFolder(folder));
  const names = await grantRights(client, namespace, started);
  const kubeconfig = join(folder, 'kubeconfig');
  const { server, caData } = kubeConfig.getCurrentCluster()!;
  const certificateAuthority = Buffer.from(caData ?? '', 'base64').toString();
  const token = await requestToken(client, namespace, 'edge-migration-console');
  writeKubeconfig(kubeconfig, { server, certificateAuthority, user: 'console', token, namespace });
  const logFile = join(folder, 'console.log');
  const logDescriptor = openSync(logFile, 'a');
  started.defer(() => closeSync(logDescriptor));
  const running = new AsyncDisposableStack();
  started.defer(() => running.disposeAsync());

  async function start(settings: Readonly<Record<string, string>> = {}, clock: Clock = systemClock) {
    const stopping = new AbortController();
    const { promise: listening, resolve: onListening } = Promise.withResolvers<string>();
    const configuration = parseEnvironment(consoleConfiguration, {
      EDGE_MIGRATION_NAMESPACE: namespace,
      EDGE_MIGRATION_PAGE_DIRECTORY: join(folder, 'page'),
      EDGE_MIGRATION_LISTEN_HOST: '127.0.0.1',
      EDGE_MIGRATION_LISTEN_PORT: '0',
      EDGE_MIGRATION_METRICS_HOST: '127.0.0.1',
      EDGE_MIGRATION_METRICS_PORT: '0',
      ...settings,
    });
    const ended = runConsole({
      configuration,
      kubeConfig: loadKubeConfig(kubeconfig),
      clock,
      logger: createLogger('console', 'debug', logDescriptor),
      signal: stopping.signal,
      onListening,
    });
    running.defer(async () => {
      stopping.abort(new Error('stopped'));
      await ended;
    });
    return Promise.race([listening, ended.then(() => Promise.reject(new Error('The console ended')))]);
  }

  async function bind(subject: object, where: string, role: Role) {
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: names[role] };
    const metadata = { namespace: where, name: `test-${randomUUID().slice(0, 8)}` };
    const head = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata };
    await client.create(roleBindings, { ...head, roleRef, subjects: [subject] });
    return { namespace: where, name: metadata.name };
  }

  const stack = started.move();
  return {
    client,
    namespace,
    otherNamespace,
    folder,
    url: await start(),
    log: () => readFileSync(logFile, 'utf8'),
    start,
    stop: () => running.disposeAsync(),
    async addCaller(rights, audiences) {
      const name = `caller-${randomUUID().slice(0, 8)}`;
      await client.create(serviceAccounts, {
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { namespace, name },
      });
      const bindings = await Promise.all(
        Object.entries(rights).map(([where, role]) => bind({ kind: 'ServiceAccount', name, namespace }, where, role)),
      );
      return {
        name,
        user: `system:serviceaccount:${namespace}:${name}`,
        token: await requestToken(client, namespace, name, audiences),
        async revoke() {
          for (const binding of bindings) await client.delete(roleBindings, binding);
        },
      };
    },
    async create(projectId, { namespace: where = namespace, annotations = {}, labels = {}, spec = {}, status } = {}) {
      const metadata = { namespace: where, name: nameOf(projectId), annotations, labels };
      const head = { apiVersion: apiVersion(EDGE_MIGRATIONS), kind: EDGE_MIGRATIONS.kind, metadata };
      const object = await client.create(EDGE_MIGRATIONS, { ...head, spec: { projectId, ...spec } });
      if (status === undefined) return object;
      return client.patch(EDGE_MIGRATIONS, metadata, { status }, { subresource: 'status' });
    },
    migration: (projectId, where = namespace) =>
      client.get(EDGE_MIGRATIONS, { namespace: where, name: nameOf(projectId) }),
    async setStatus(projectId, status, where = namespace) {
      const reference = { namespace: where, name: nameOf(projectId) };
      await client.patch(EDGE_MIGRATIONS, reference, { status }, { subresource: 'status' });
    },
    async bindUser(user, where, role) {
      await bind({ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: user }, where, role);
    },
    async allowImpersonation(user) {
      const rules = [{ apiGroups: [''], resources: ['users'], resourceNames: [user], verbs: ['impersonate'] }];
      const metadata = { name: `impersonation-${namespace}` };
      const head = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata };
      const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: metadata.name };
      const subjects = [{ kind: 'ServiceAccount', name: 'edge-migration-console', namespace }];
      await client.create(clusterRoles, { ...head, kind: 'ClusterRole', rules });
      await client.create(clusterRoleBindings, { ...head, kind: 'ClusterRoleBinding', roleRef, subjects });
      for (const resource of [clusterRoles, clusterRoleBindings])
        stack.defer(async () => void (await client.delete(resource, metadata)));
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function requestToken(
  client: KubernetesClient,
  namespace: string,
  name: string,
  audiences?: readonly string[],
): Promise<string> {
  const spec = { expirationSeconds: 3600, ...(audiences && { audiences }) };
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', metadata: { namespace, name }, spec };
  const answer = await client.create(serviceAccounts, request, { subresource: 'token' });
  return (answer['status'] as { token: string }).token;
}

/**
 * The console's account and its rights, and the roles for people, from the shipped manifests; cluster roles have
 * names specific to this test, which are returned for people.
 */
async function grantRights(
  client: KubernetesClient,
  namespace: string,
  started: AsyncDisposableStack,
): Promise<Record<Role, string>> {
  const kinds: Record<string, Resource> = {
    ServiceAccount: serviceAccounts,
    ClusterRole: clusterRoles,
    ClusterRoleBinding: clusterRoleBindings,
  };
  const own = (name: string) => `${name}-${namespace}`;
  for (const file of ['console.yaml', 'rbac-aggregate.yaml']) {
    const text = readFileSync(new URL(`../../../operator/deploy/${file}`, import.meta.url), 'utf8');
    for (const document of parseAllDocuments(text.replaceAll('namespace: edge-migration', `namespace: ${namespace}`))) {
      const object = document.toJS() as KubernetesObject & { roleRef?: { name: string } };
      const resource = kinds[object.kind];
      if (resource === undefined) continue;
      if (!resource.namespaced) {
        object.metadata.name = own(object.metadata.name);
        // Not aggregated into the cluster's own roles while the test runs.
        delete object.metadata.labels;
        if (object.roleRef !== undefined) object.roleRef.name = own(object.roleRef.name);
        started.defer(async () => void (await client.delete(resource, { name: object.metadata.name })));
      }
      await client.create(resource, object);
    }
  }
  return { edit: own('edge-migration-edit'), view: own('edge-migration-view') };
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: JSON, as the expectations say
  readonly body: any;
}

/** One call of the API, as by a program. */
export async function call(
  url: string,
  path: string,
  { token, body, headers = {}, method = body === undefined ? 'GET' : 'POST' }: CallOptions = {},
): Promise<Reply> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = /json/.test(response.headers.get('content-type') ?? '');
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
}

export interface CallOptions {
  readonly token?: string;
  readonly method?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

interface SentEvent {
  readonly event: string;
  // biome-ignore lint/suspicious/noExplicitAny: JSON, as the expectations say
  readonly data: any;
}

/** A stream of events that is read as it arrives. */
export interface Listener extends AsyncDisposable {
  readonly status: number;
  readonly events: readonly SentEvent[];
  /** Resolves when the server has ended it. */
  readonly ended: Promise<void>;
}

export async function listen(url: string, path: string, token: string): Promise<Listener> {
  const stop = new AbortController();
  const response = await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token}` }, signal: stop.signal });
  const events: SentEvent[] = [];
  const ended = readEvents(response, events).catch(() => {}); // stopped
  return {
    status: response.status,
    events,
    ended,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ended;
    },
  };
}

async function readEvents(response: Response, events: SentEvent[]): Promise<void> {
  let rest = '';
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + piece).split('\n\n');
    rest = parts.pop() ?? '';
    for (const part of parts) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(part)?.[1];
      const event = field('event');
      if (event !== undefined) events.push({ event, data: JSON.parse(field('data') ?? 'null') });
    }
  }
}
