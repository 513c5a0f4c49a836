import { OPERATOR_FIELD_MANAGER } from '@edge-migration/contract/edge-migration/api.ts';
import { applyOver } from '@edge-migration/kubernetes/apply-over.ts';
import type { KubernetesClient, KubernetesObject } from '@edge-migration/kubernetes/client.ts';
import { CONFIG_MAPS } from '@edge-migration/kubernetes/resources.ts';

/** The present content of a ConfigMap, and how to replace it. */
export interface ReadConfigMap {
  /** Its data; empty where there is no such ConfigMap. */
  readonly data: Readonly<Record<string, string>>;
  /**
   * Replaces what was read. The ConfigMap is read before its new content is computed, so that a replica that no longer
   * leads has its write refused.
   *
   * @throws ConflictError when it has been written since
   */
  write(object: KubernetesObject): Promise<void>;
}

/** Reads a ConfigMap before it is written. Throws ApiError. */
export async function readConfigMap(
  client: KubernetesClient,
  reference: { namespace: string; name: string },
  signal: AbortSignal,
): Promise<ReadConfigMap> {
  const found = await client.get(CONFIG_MAPS, reference, { signal });
  const options = { fieldManager: OPERATOR_FIELD_MANAGER, signal };
  return {
    data: (found?.['data'] ?? {}) as Readonly<Record<string, string>>,
    async write(object) {
      await applyOver(client, CONFIG_MAPS, object, found?.metadata.resourceVersion, options);
    },
  };
}
