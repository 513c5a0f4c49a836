import { CONFIG_MAPS } from '../edge-migration/resources.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { type Root, readData } from './root.ts';

/** Texts that a worker keeps in a ConfigMap of its own. */
export interface WorkerRecord {
  /** Undefined when there is none. */
  load(signal: AbortSignal): Promise<Readonly<Record<string, string>> | undefined>;
  /** Replaces all texts; empty ones are left out. */
  save(texts: Readonly<Record<string, string>>, signal: AbortSignal): Promise<void>;
}

/**
 * A ConfigMap that the root owns, with the root's labels and annotations, by which the operator finds it. One that
 * another root owns is of work that was let go of, and counts for nothing.
 */
export function createRecord(
  client: KubernetesClient,
  { namespace, name, root, fieldManager }: { namespace: string; name: string; root: Root; fieldManager: string },
): WorkerRecord {
  const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: root.name, uid: root.uid }];
  const { labels, annotations } = root;
  const metadata = { name, namespace, labels: { ...labels }, annotations: { ...annotations }, ownerReferences };

  return {
    async load(signal) {
      const object = await client.get(CONFIG_MAPS, { namespace, name }, { signal });
      const isOurs = object?.metadata.ownerReferences?.some(({ uid }) => uid === root.uid);
      return isOurs ? readData(object!) : undefined;
    },

    async save(texts, signal) {
      const data = Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== ''));
      const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data };
      await client.apply(CONFIG_MAPS, object, { fieldManager, force: true, signal });
    },
  };
}
