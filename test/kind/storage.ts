import type { Target } from '../e2e/target.ts';
import { run } from './commands.ts';

const CLASS = 'edge-migration-test';
const FOLDER = '/var/local/edge-migration-nats';
/** Kubernetes' own provisioner, which kind had before it got a better one: its folders belong to root. */
const ROOTS_FOLDERS = 'kubernetes.io/host-path';

interface StorageClass {
  provisioner: string;
  metadata: { annotations?: Readonly<Record<string, string>> };
}

/**
 * Name of a storage class whose volumes a non-root process can write; empty for the cluster's default, if that
 * is one. Otherwise a single volume is made on the first node, which must be a container of the local engine.
 */
export async function provideStorage(kubectl: Target['kubectl']): Promise<string> {
  const { items } = JSON.parse(await kubectl(['get', 'storageclasses', '-o', 'json']));
  const fallback = (items as StorageClass[]).find(
    ({ metadata }) => metadata.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true',
  );
  if (fallback !== undefined && fallback.provisioner !== ROOTS_FOLDERS) return '';
  const node = await kubectl(['get', 'nodes', '-o', 'jsonpath={.items[0].metadata.name}']);
  await run('docker', ['exec', node, 'mkdir', '-p', '-m', '0777', FOLDER]);
  const objects = [
    {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: CLASS },
      provisioner: 'kubernetes.io/no-provisioner',
    },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: CLASS },
      spec: {
        storageClassName: CLASS,
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteOnce'],
        persistentVolumeReclaimPolicy: 'Retain',
        hostPath: { path: FOLDER },
      },
    },
  ];
  const list = { apiVersion: 'v1', kind: 'List', items: objects };
  await kubectl(['apply', '-f', '-'], { input: JSON.stringify(list) });
  return CLASS;
}
