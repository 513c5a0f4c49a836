import { isDeepStrictEqual } from 'node:util';
import { applyOver } from '@edge-migration/kubernetes/apply-over.ts';
import type { KubernetesClient, KubernetesObject } from '@edge-migration/kubernetes/client.ts';
import { ConflictError } from '@edge-migration/kubernetes/errors.ts';
import { CONFIG_MAPS } from '@edge-migration/kubernetes/resources.ts';
import { z } from 'zod';
import { parseJsonText } from '../edge-migration/parse.ts';
import { type ControlConfigMap, readData } from './control-config-map.ts';
import { RangeTakenOverError } from './failure.ts';

type Texts = Readonly<Record<string, string>>;

/** Texts that a worker stores in a ConfigMap of its own. */
export interface WorkerRecord {
  /** Undefined if there is none. The next save replaces only what was loaded here. */
  load(signal: AbortSignal): Promise<Texts | undefined>;
  /**
   * Replaces all texts; empty ones are omitted.
   *
   * @throws RangeTakenOverError if another pod has saved since this one last loaded or saved; ApiError
   */
  save(texts: Texts, signal: AbortSignal): Promise<void>;
  /** As this pod last loaded or saved them. */
  known(): Texts | undefined;
}

/**
 * A ConfigMap that the root owns, with the root's labels and annotations, by which the operator finds it. One with
 * another root belongs to abandoned work, and is ignored.
 */
export function createRecord(
  client: KubernetesClient,
  {
    namespace,
    name,
    root,
    fieldManager,
  }: { namespace: string; name: string; root: ControlConfigMap; fieldManager: string },
): WorkerRecord {
  const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: root.name, uid: root.uid }];
  const { labels, annotations } = root;
  const metadata = { name, namespace, labels: { ...labels }, annotations: { ...annotations }, ownerReferences };

  let known: Texts | undefined;
  let version: string | undefined;

  /** Undefined while there are none. */
  function textsOf(object: KubernetesObject | undefined): Texts | undefined {
    const isOurs = object?.metadata.ownerReferences?.some(({ uid }) => uid === root.uid);
    const texts = isOurs ? readData(object!) : {};
    return Object.keys(texts).length === 0 ? undefined : texts;
  }

  const read = (signal: AbortSignal) => client.get(CONFIG_MAPS, { namespace, name }, { signal });

  async function write(data: Texts, signal: AbortSignal): Promise<void> {
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data };
    const written = await applyOver(client, CONFIG_MAPS, object, version, { fieldManager, signal });
    version = written.metadata.resourceVersion;
  }

  /** A lost answer to an own write, or a change outside the texts, does not mean that another pod has saved. */
  async function catchUp(data: Texts, signal: AbortSignal): Promise<void> {
    const found = await read(signal);
    const texts = textsOf(found);
    const isOwn = found === undefined || [known, data].some((own) => isDeepStrictEqual(own, texts));
    if (!isOwn) throw new RangeTakenOverError(holderOf(texts));
    version = found?.metadata.resourceVersion;
  }

  return {
    known: () => known,

    async load(signal) {
      const object = await read(signal);
      version = object?.metadata.resourceVersion;
      known = textsOf(object);
      return known;
    },

    async save(texts, signal) {
      const data = Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== ''));
      try {
        await write(data, signal);
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
        await catchUp(data, signal);
        await write(data, signal);
      }
      known = data;
    },
  };
}

const checkpointHolder = z.object({ instance: z.string() });

/** The last pod that has written. */
function holderOf({ holder, checkpoint = '' }: Texts = {}): string {
  if (holder !== undefined) return holder;
  return parseJsonText(checkpoint, checkpointHolder)?.instance ?? 'unknown';
}
