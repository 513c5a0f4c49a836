import { readFile } from 'node:fs/promises';
import type { KubernetesClient, KubernetesObject, Resource } from '@edge-migration/kubernetes/client.ts';
import { parse } from 'yaml';
import { waitFor } from '../cluster/wait.ts';

const CRDS: Resource = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
};

const MANIFEST = new URL('../../crds/edgemigrations.edge.flagsmith.com.yaml', import.meta.url);

/** The shipped CRD of EdgeMigration. */
export async function readCrd(): Promise<KubernetesObject> {
  return parse(await readFile(MANIFEST, 'utf8')) as KubernetesObject;
}

/** Installs the CRD and waits until it is served; concurrent callers are fine. */
export async function installCrd(client: KubernetesClient): Promise<void> {
  const crd = await readCrd();
  await client.apply(CRDS, crd, { fieldManager: 'test', force: true });
  const isServed = async () => {
    const found = await client.get(CRDS, { name: crd.metadata.name });
    const { conditions = [] } = (found?.['status'] ?? {}) as { conditions?: { type: string; status: string }[] };
    return conditions.some(({ type, status }) => type === 'Established' && status === 'True');
  };
  await waitFor(isServed, { for: 'the EdgeMigration definition to be served' });
}
