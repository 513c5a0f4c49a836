import { readFile } from 'node:fs/promises';
import type { Resource } from '@edge-migration/kubernetes/client.ts';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { waitFor } from '../cluster/wait.ts';
import { runOperatorHere } from '../e2e/operator-run.ts';
import { isRetired, useWorld } from '../e2e/operator-setup.ts';
import { NAMESPACE, TENANT } from '../e2e/operator-world.ts';
import type { KubernetesCall } from '../faults/kubernetes-proxy.ts';

const MINUTE = 60_000;
const ROOT = new URL('../../', import.meta.url);
const REVIEWS: Resource = {
  group: 'authorization.k8s.io',
  version: 'v1',
  plural: 'subjectaccessreviews',
  kind: 'SubjectAccessReview',
  namespaced: false,
};
/** The pod runner here makes no comparisons. */
const UNVERIFIED = { verify: { afterCopy: 'Never', atDeadline: 'Never' } };
const setup = useWorld();

interface Manifest {
  kind: string;
  metadata: { name: string; namespace?: string };
  rules?: { apiGroups: string[]; resources: string[]; verbs: string[] }[];
}

async function readManifests(path: string): Promise<Manifest[]> {
  const documents = parseAllDocuments(await readFile(new URL(path, ROOT), 'utf8'));
  const rights = new Set(['ServiceAccount', 'ClusterRole', 'ClusterRoleBinding', 'Role', 'RoleBinding']);
  return documents.map((document) => document.toJS() as Manifest).filter(({ kind }) => rights.has(kind));
}

const kubectl = (args: readonly string[], input?: object) =>
  setup.world.controlPlane.kubectl(args, input === undefined ? {} : { input: JSON.stringify(input) });
const applyAll = (items: readonly object[]) =>
  kubectl(['apply', '--server-side', '-f', '-'], { apiVersion: 'v1', kind: 'List', items });

/** Whether the authorizer allows this; `resource` as in `jobs.batch` or `edgemigrations.edge.flagsmith.com/status`. */
async function mayDo(user: string, verb: string, resource: string, namespace: string | undefined): Promise<boolean> {
  const [full = '', subresource] = resource.split('/');
  const [plural, ...group] = full.split('.');
  const resourceAttributes = { verb, resource: plural, group: group.join('.'), subresource, namespace };
  const review = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', metadata: { name: '' } };
  const groups = user.startsWith('system:')
    ? ['system:authenticated', 'system:serviceaccounts']
    : ['system:authenticated'];
  const created = await setup.world.client.create(REVIEWS, { ...review, spec: { user, groups, resourceAttributes } });
  return (created['status'] as { allowed: boolean }).allowed;
}

const account = (name: string) => `system:serviceaccount:${NAMESPACE}:edge-migration-${name}`;
const MIGRATIONS = 'edgemigrations.edge.flagsmith.com';

beforeAll(async () => {
  const namespaces = ['flagsmith', 'customers'].map((name) => ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name },
  }));
  await applyAll([...namespaces, ...(await readManifests('replay-sidecar/deploy/applier.yaml'))]);
});

describe('the rights of a service account', () => {
  test.each<[string, string, string, string | undefined, boolean]>([
    ['operator', 'watch', MIGRATIONS, undefined, true],
    ['operator', 'patch', `${MIGRATIONS}/status`, TENANT, true],
    ['operator', 'create', 'events.events.k8s.io', TENANT, true],
    ['operator', 'create', 'jobs.batch', NAMESPACE, true],
    ['operator', 'create', 'secrets', NAMESPACE, true],
    ['operator', 'patch', 'secrets', NAMESPACE, false],
    ['operator', 'list', 'pods', 'flagsmith', true],
    ['operator', 'list', 'events', NAMESPACE, true],
    ['operator', 'watch', 'events', NAMESPACE, false],
    ['operator', 'list', 'events', TENANT, false],
    // The spec belongs to the user, as does the object's existence.
    ['operator', 'patch', MIGRATIONS, TENANT, false],
    ['operator', 'update', MIGRATIONS, NAMESPACE, false],
    ['operator', 'delete', MIGRATIONS, NAMESPACE, false],
    ['operator', 'update', `${MIGRATIONS}/status`, TENANT, false],
    // Credentials: mounted ones need not be read, and those of other namespaces are of no use.
    ['operator', 'get', 'secrets', NAMESPACE, false],
    ['operator', 'list', 'secrets', NAMESPACE, false],
    ['operator', 'create', 'secrets', TENANT, false],
    ['operator', 'get', 'secrets', 'kube-system', false],
    ['operator', 'create', 'jobs.batch', TENANT, false],
    ['operator', 'get', 'configmaps', TENANT, false],
    ['operator', 'delete', 'pods', NAMESPACE, false],
    ['operator', 'create', 'pods/exec', NAMESPACE, false],
    ['operator', 'list', 'pods', TENANT, false],
    ['operator', 'create', 'serviceaccounts/token', NAMESPACE, false],
    ['operator', 'bind', 'roles.rbac.authorization.k8s.io', NAMESPACE, false],
    ['worker', 'patch', 'configmaps', NAMESPACE, true],
    ['worker', 'list', 'configmaps', NAMESPACE, false],
    ['worker', 'delete', 'configmaps', NAMESPACE, false],
    ['worker', 'get', 'configmaps', TENANT, false],
    ['worker', 'get', 'secrets', NAMESPACE, false],
    // The Deployment of the operator decides what their pods run.
    ...['operator', 'worker'].flatMap((name) =>
      ['deployments.apps', 'replicasets.apps', 'pods'].flatMap((resource) =>
        ['create', 'update', 'patch'].map((verb): [string, string, string, string, boolean] => [
          name,
          verb,
          resource,
          NAMESPACE,
          false,
        ]),
      ),
    ),
    ['worker', 'get', MIGRATIONS, NAMESPACE, false],
    ['worker', 'get', 'pods', NAMESPACE, false],
    ['applier', 'watch', MIGRATIONS, undefined, true],
    ['applier', 'patch', `${MIGRATIONS}/status`, NAMESPACE, false],
    ['applier', 'get', 'configmaps', NAMESPACE, false],
    ['applier', 'get', 'secrets', NAMESPACE, false],
    ['applier', 'list', 'pods', 'flagsmith', false],
  ])('%s: %s %s in %s: %s', async (name, verb, resource, namespace, expected) => {
    expect(await mayDo(account(name), verb, resource, namespace)).toBe(expected);
  });
});

describe('what a service account may write, by name', () => {
  const spec = (serviceAccountName: string) => ({
    template: { spec: { serviceAccountName, restartPolicy: 'Never', containers: [{ name: 'a', image: 'b' }] } },
  });
  const OBJECTS = {
    "a copy's ConfigMap": { kind: 'ConfigMap', metadata: { name: 'project-7-0123abcd-copy' } },
    'a checkpoint': { kind: 'ConfigMap', metadata: { name: 'project-7-0123abcd-copy-range-12' } },
    'the state of the streams': { kind: 'ConfigMap', metadata: { name: 'edge-migration-streams' } },
    'the report on the installation': {
      kind: 'ConfigMap',
      metadata: { name: 'edge-migration-installation' },
    },
    'a ConfigMap that configures the product': { kind: 'ConfigMap', metadata: { name: 'edge-migration-stores' } },
    'a Secret of ranges': {
      kind: 'Secret',
      metadata: { name: 'project-7-0123abcd-copy-ranges' },
      type: 'edge.flagsmith.com/ranges',
    },
    'a Secret that configures the product': {
      kind: 'Secret',
      metadata: { name: 'edge-migration-stores' },
      type: 'Opaque',
    },
    'a token of another account': {
      kind: 'Secret',
      metadata: {
        name: 'project-7-0123abcd-copy-ranges',
        annotations: { 'kubernetes.io/service-account.name': 'edge-migration-applier' },
      },
      type: 'kubernetes.io/service-account-token',
    },
    'a Job of workers': {
      kind: 'Job',
      metadata: { name: 'project-7-0123abcd-copy-1' },
      spec: spec('edge-migration-worker'),
    },
    'a Job of another account': {
      kind: 'Job',
      metadata: { name: 'project-7-0123abcd-copy-1' },
      spec: spec('edge-migration-applier'),
    },
  };
  type Name = keyof typeof OBJECTS;
  type Verb = 'apply' | 'create' | 'delete';

  /** The API server's answer to a dry run. */
  async function write(name: string, verb: Verb, what: Name): Promise<string> {
    const as = ['--as', account(name), '--as-group', 'system:serviceaccounts', '--as-group', 'system:authenticated'];
    const object = { apiVersion: OBJECTS[what].kind === 'Job' ? 'batch/v1' : 'v1', ...OBJECTS[what] };
    const options = { apply: ['--server-side'], create: [], delete: ['--wait=false'] };
    const args = [verb, ...options[verb], '--dry-run=server', '-f', '-'];
    try {
      await kubectl([...args, '-n', NAMESPACE, ...as], object);
      return 'allowed';
    } catch (error) {
      return (error as Error).message;
    }
  }

  beforeAll(async () => {
    const stores = { apiVersion: 'v1', ...OBJECTS['a ConfigMap that configures the product'] };
    await kubectl(['apply', '--server-side', '-n', NAMESPACE, '-f', '-'], stores);
    const isDenied = async () =>
      (await write('worker', 'apply', 'a ConfigMap that configures the product')) !== 'allowed';
    await waitFor(isDenied, { for: 'the policy to be in force', timeoutMs: 3 * MINUTE });
  });

  const MIGRATIONS_ALONE = /write the objects of migrations alone/;
  test.each<[string, Verb, Name, RegExp]>([
    ['operator', 'apply', "a copy's ConfigMap", /^allowed$/],
    ['operator', 'apply', 'the state of the streams', /^allowed$/],
    ['operator', 'apply', 'the report on the installation', /^allowed$/],
    ['worker', 'apply', 'the report on the installation', /a worker writes checkpoints alone/],
    ['worker', 'apply', 'the state of the streams', /a worker writes checkpoints alone/],
    ['worker', 'apply', 'a checkpoint', /^allowed$/],
    ['operator', 'create', 'a Secret of ranges', /^allowed$/],
    ['operator', 'apply', 'a Job of workers', /^allowed$/],
    ['operator', 'apply', 'a ConfigMap that configures the product', MIGRATIONS_ALONE],
    ['operator', 'delete', 'a ConfigMap that configures the product', MIGRATIONS_ALONE],
    ['worker', 'apply', 'a ConfigMap that configures the product', MIGRATIONS_ALONE],
    ['operator', 'create', 'a Secret that configures the product', MIGRATIONS_ALONE],
    ['operator', 'create', 'a token of another account', /a Secret of the operator holds ranges/],
    ['worker', 'apply', "a copy's ConfigMap", /a worker writes checkpoints alone/],
    ['operator', 'apply', 'a Job of another account', /runs as the workers' service account/],
  ])('%s: %s %s: %s', async (name, verb, what, expected) => {
    expect(await write(name, verb, what)).toMatch(expected);
  });
});

describe('the rights of people, by Kubernetes’ own roles', () => {
  const USERS = ['view', 'edit', 'admin'];
  beforeAll(async () => {
    await applyAll(await readManifests('operator/deploy/rbac-aggregate.yaml'));
    const bindings = USERS.map((name) => ({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: `a-${name}`, namespace: TENANT },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
      subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: `a-${name}` }],
    }));
    await applyAll(bindings);
    const isAggregated = async () =>
      (await mayDo('a-view', 'get', MIGRATIONS, TENANT)) && mayDo('a-edit', 'create', MIGRATIONS, TENANT);
    await waitFor(isAggregated, { for: 'the roles to be aggregated', timeoutMs: 3 * MINUTE });
  });

  test.each<[string, string, string, string, boolean]>([
    ['a-view', 'watch', MIGRATIONS, TENANT, true],
    ['a-view', 'create', MIGRATIONS, TENANT, false],
    ['a-view', 'get', MIGRATIONS, NAMESPACE, false],
    ['a-edit', 'patch', MIGRATIONS, TENANT, true],
    ['a-edit', 'delete', MIGRATIONS, TENANT, true],
    ['a-edit', 'patch', `${MIGRATIONS}/status`, TENANT, false],
    ['a-edit', 'create', MIGRATIONS, NAMESPACE, false],
    ['a-admin', 'patch', MIGRATIONS, TENANT, true],
    ['a-admin', 'patch', `${MIGRATIONS}/status`, TENANT, false],
  ])('%s: %s %s in %s: %s', async (user, verb, resource, namespace, expected) => {
    expect(await mayDo(user, verb, resource, namespace)).toBe(expected);
  });
});

describe('a migration with only the operator’s rights', { timeout: 15 * MINUTE }, () => {
  function setSuspend(projectId: number, suspend: boolean) {
    const patch = JSON.stringify({ spec: { suspend } });
    return kubectl(['patch', 'em', `project-${projectId}`, '-n', NAMESPACE, '--type=merge', '-p', patch]);
  }
  const liftQuota = () => kubectl(['delete', 'quota', 'strict', '-n', NAMESPACE, '--ignore-not-found']);
  const isOver = (projectId: number, namespace: string) => () => isRetired(setup.world, projectId, namespace);

  test('completes without being refused anything, and uses every right', async () => {
    const { world, proxy, kubeconfig } = setup;
    await using _operator = runOperatorHere(world, { kubeconfig });
    const [own = 0, tenants = 0] = await world.addProjects(2);
    setup.pods.hold(true);
    await kubectl(['create', 'quota', 'strict', '-n', NAMESPACE, '--hard=pods=0']);
    await world.create(own, UNVERIFIED);
    await world.create(tenants, UNVERIFIED, TENANT);
    await world.condition([own], 'Accepted', 'True');
    const isCopying = async () => (await world.jobs(own)).length === 1;
    await waitFor(isCopying, { for: 'the Job', timeoutMs: 4 * MINUTE });
    // The quota rejects its pods, so the operator looks up the reason.
    const hasAsked = async () => proxy.calls.some(({ verb, resource }) => verb === 'list' && resource === 'events');
    await waitFor(hasAsked, { for: 'a read of the events of the Job', timeoutMs: 3 * MINUTE });
    await liftQuota();
    await setSuspend(own, true);
    await world.condition([own], 'Suspended', 'True');
    await setSuspend(own, false);
    setup.pods.hold(false);
    await waitFor(isOver(own, NAMESPACE), { for: 'the own one', timeoutMs: 4 * MINUTE });
    await waitFor(isOver(tenants, TENANT), { for: 'the tenant’s', timeoutMs: 4 * MINUTE });
    const left = (await world.describe(tenants, TENANT)).objects.length;
    expect(left).toBeGreaterThan(0);
    await world.delete(tenants, TENANT);
    // Owner references do not cross namespaces: the operator cleans up.
    const isGone = async () => (await world.describe(tenants, TENANT)).objects.length === 0;
    await waitFor(isGone, { for: 'everything of it to be gone', timeoutMs: 4 * MINUTE });
    const messages = await kubectl(['get', 'em', '-A', '-o', 'jsonpath={.items[*].status.conditions[*].reason}']);
    expect(messages).not.toContain('Forbidden');
    expect(unused(await readManifests('operator/deploy/rbac.yaml'), proxy.calls)).toEqual(UNUSED_HERE);
  });

  test('in a list of namespaces, with Roles instead of a ClusterRole, touches no other namespace', async () => {
    const { world, kubeconfig } = setup;
    await kubectl(['delete', 'clusterrolebinding', 'edge-migration-operator']);
    const roles = JSON.stringify(await readManifests('operator/deploy/rbac-namespace.yaml'));
    await applyAll(JSON.parse(roles));
    await applyAll(JSON.parse(roles.replaceAll('"customers"', `"${TENANT}"`)));
    const [first = 0, second = 0, other = 0] = await world.addProjects(3);
    await world.create(first, UNVERIFIED, TENANT);
    await world.create(second, UNVERIFIED, 'customers');
    await world.create(other);
    const settings = { EDGE_MIGRATION_WATCH_NAMESPACES: `${TENANT}, customers` };
    await using _operator = runOperatorHere(world, { kubeconfig, settings });
    await waitFor(isOver(first, TENANT), { for: 'that of one namespace', timeoutMs: 4 * MINUTE });
    await waitFor(isOver(second, 'customers'), { for: 'that of the other', timeoutMs: 4 * MINUTE });
    expect((await world.migration(other))?.status).toEqual({});
    expect(await mayDo(account('operator'), 'list', MIGRATIONS, NAMESPACE)).toBe(false);
  });

  afterEach(async () => {
    setup.pods.hold(false);
    await liftQuota();
  });
});

/** Rights that this story does not use: a Job is looked up again when ranges have failed. */
const UNUSED_HERE = ['get jobs'];

/** Rights of the operator's roles that were never used: `delete jobs`. */
function unused(manifests: readonly Manifest[], calls: readonly KubernetesCall[]): string[] {
  const rules = manifests
    .filter(({ kind, metadata }) => /^(Cluster)?Role$/.test(kind) && metadata.name === 'edge-migration-operator')
    .flatMap(({ rules = [] }) => rules);
  const granted = rules.flatMap(({ resources, verbs }) =>
    resources.flatMap((each) => verbs.map((verb) => `${verb} ${each}`)),
  );
  // Server-side apply requires `patch`, and `create` for a new object.
  const asked = calls.flatMap(({ verb, resource }) =>
    verb === 'apply'
      ? [`patch ${resource}`, ...(resource.includes('/') ? [] : [`create ${resource}`])]
      : [`${verb} ${resource}`],
  );
  return granted.filter((each) => !asked.includes(each));
}
