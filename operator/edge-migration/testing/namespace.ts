import { createClient, type KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import { loadKubeConfig } from '@edge-migration/kubernetes/kube-config.ts';
import { namespaces } from '@edge-migration/kubernetes/testing/real-api-server.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { kubernetes } from '@edge-migration/test/cluster/shared.ts';

/** A client of a real API server in which the namespace exists. */
export async function createNamespace(name: string): Promise<KubernetesClient> {
  const { kubeconfig } = await kubernetes();
  const client = createClient({ kubeConfig: loadKubeConfig(kubeconfig), clock: systemClock, userAgent: 'test' });
  await client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  return client;
}
