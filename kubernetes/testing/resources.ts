import type { KubernetesObject, Resource } from '../objects.ts';

export const widgets: Resource = {
  group: 'example.com',
  version: 'v1',
  plural: 'widgets',
  kind: 'Widget',
  namespaced: true,
};

export const leases: Resource = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
};

export const events: Resource = {
  group: 'events.k8s.io',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
  namespaced: true,
};

export function widget(name: string, spec: Record<string, unknown> = {}, namespace = 'default'): KubernetesObject {
  return { apiVersion: 'example.com/v1', kind: 'Widget', metadata: { namespace, name }, spec };
}
