import { systemClock } from '@edge-migration/identity/clock.ts';
import { kubernetes } from '@edge-migration/test/cluster/shared.ts';
import { createClient, type KubernetesClient } from '../../kubernetes/client.ts';
import { loadKubeConfig } from '../../kubernetes/kube-config.ts';
import { namespaces } from '../../kubernetes/testing/real-api-server.ts';

/** A client of a real API server that has the namespace. */
export async function createNamespace(name: string): Promise<KubernetesClient> {
  const { kubeconfig } = await kubernetes();
  const client = createClient({ kubeConfig: loadKubeConfig(kubeconfig), clock: systemClock, userAgent: 'test' });
  await client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  return client;
}
