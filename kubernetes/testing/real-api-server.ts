import { randomUUID } from 'node:crypto';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { kubernetes } from '@edge-migration/test/cluster/shared.ts';
import { createClient, type KubernetesClient, type KubernetesObject, type Resource } from '../client.ts';
import { loadKubeConfig } from '../kube-config.ts';

const core = (plural: string, kind: string, namespaced = true): Resource => ({
  group: '',
  version: 'v1',
  plural,
  kind,
  namespaced,
});
const rbac = (plural: string, kind: string): Resource => ({
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  plural,
  kind,
  namespaced: true,
});

export const namespaces = core('namespaces', 'Namespace', false);
export const configMaps = core('configmaps', 'ConfigMap');
export const serviceAccounts = core('serviceaccounts', 'ServiceAccount');
export const roles = rbac('roles', 'Role');
export const roleBindings = rbac('rolebindings', 'RoleBinding');
export const customResourceDefinitions: Resource = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
};

/** The run's real API server, as its admin, in the test's own namespace, which `leave` deletes. */
export async function enterRealApiServer() {
  const { kubeconfig } = await kubernetes();
  const kubeConfig = loadKubeConfig(kubeconfig);
  const client = createClient({ kubeConfig, clock: systemClock, userAgent: 'test' });
  const namespace = `runtime-${randomUUID().slice(0, 8)}`;
  await client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  return {
    client,
    kubeConfig,
    kubeconfig,
    namespace,
    async leave() {
      await client.delete(namespaces, { name: namespace });
      await client.close();
    },
  };
}

/** The same with the test's own kind `Widget`, and objects of it. */
export async function enterWithWidgets() {
  const real = await enterRealApiServer();
  const widgets = await installWidgets(real.client, `${real.namespace}.example.com`);
  const at = (name: string) => ({ namespace: real.namespace, name });
  return {
    ...real,
    widgets,
    at,
    widget: (name: string, fields: Record<string, unknown> = {}): KubernetesObject => ({
      apiVersion: apiVersionOf(widgets),
      kind: 'Widget',
      metadata: at(name),
      ...fields,
    }),
    configMap: (name: string): KubernetesObject => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: at(name),
      data: {},
    }),
    async leave() {
      await real.client.delete(customResourceDefinitions, { name: `widgets.${widgets.group}` });
      await real.leave();
    },
  };
}

export const apiVersionOf = ({ group, version }: Resource) => `${group}/${version}`;

/** Installs a CRD of kind Widget in its own group, with a status; resolves when it is served. */
export async function installWidgets(client: KubernetesClient, group: string): Promise<Resource> {
  const resource: Resource = { group, version: 'v1', plural: 'widgets', kind: 'Widget', namespaced: true };
  await client.create(customResourceDefinitions, widgetDefinition(resource));
  for (;;) {
    try {
      await client.list(resource, {}, { retries: 0 });
      return resource;
    } catch {
      await new Promise((next) => setImmediate(next));
    }
  }
}

function widgetDefinition({ group, version, plural, kind }: Resource): KubernetesObject {
  const condition = {
    type: 'object',
    required: ['type', 'status'],
    properties: { type: { type: 'string' }, status: { type: 'string' } },
  };
  const conditions = {
    type: 'array',
    items: condition,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['type'],
  };
  const openAPIV3Schema = {
    type: 'object',
    properties: {
      spec: { type: 'object', properties: { size: { type: 'integer', maximum: 100 } } },
      status: { type: 'object', properties: { phase: { type: 'string' }, conditions } },
    },
  };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural, kind, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: [
        { name: version, served: true, storage: true, subresources: { status: {} }, schema: { openAPIV3Schema } },
      ],
    },
  };
}
