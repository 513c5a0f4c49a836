import { CONFIG_MAPS } from '../../edge-migration/resources.ts';
import type { KubernetesClient } from '../../kubernetes/client.ts';
import { readCheckpoint } from '../checkpoint.ts';
import type { Checkpoints } from './checkpoints.ts';
import { type Root, readData } from './root.ts';

const FIELD_MANAGER = 'copy-worker';

/**
 * Keeps a range's checkpoint in a ConfigMap that the root owns, with the root's labels and annotations, by which the
 * operator finds it. A checkpoint that another root owns is of a copy that was let go of, and counts for nothing.
 */
export function createConfigMapCheckpoints(
  client: KubernetesClient,
  { namespace, name, root }: { namespace: string; name: string; root: Root },
): Checkpoints {
  const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: root.name, uid: root.uid }];
  const { labels, annotations } = root;
  const metadata = { name, namespace, labels: { ...labels }, annotations: { ...annotations }, ownerReferences };

  return {
    async load(signal) {
      const object = await client.get(CONFIG_MAPS, { namespace, name }, { signal });
      if (!object?.metadata.ownerReferences?.some(({ uid }) => uid === root.uid)) return undefined;
      const data = readData(object);
      const checkpoint = readCheckpoint(data['checkpoint'] ?? '');
      if (checkpoint === undefined) return undefined;
      return { checkpoint, skipped: data['skipped.jsonl'] ?? '', differing: data['differing.jsonl'] ?? '' };
    },

    async save({ checkpoint, skipped, differing }, signal) {
      const data = {
        checkpoint: JSON.stringify(checkpoint),
        ...(skipped === '' ? {} : { 'skipped.jsonl': skipped }),
        ...(differing === '' ? {} : { 'differing.jsonl': differing }),
      };
      const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data };
      await client.apply(CONFIG_MAPS, object, { fieldManager: FIELD_MANAGER, force: true, signal });
    },
  };
}
