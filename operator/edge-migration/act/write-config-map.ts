import { OPERATOR_FIELD_MANAGER } from '@edge-migration/contract/edge-migration/api.ts';
import { applyOver } from '@edge-migration/kubernetes/apply-over.ts';
import type { KubernetesClient, KubernetesObject } from '@edge-migration/kubernetes/client.ts';
import { CONFIG_MAPS } from '@edge-migration/kubernetes/resources.ts';

/** A ConfigMap as it is now, and how to put something in its place. */
export interface ReadConfigMap {
  /** Its texts; empty where there is no such ConfigMap. */
  readonly data: Readonly<Record<string, string>>;
  /**
   * Writes over what was read. It is read before what is to be written is found out, so that a write of a replica that does
   * not lead any more is refused.
   *
   * @throws ConflictError when it has been written since
   */
  write(object: KubernetesObject): Promise<void>;
}

/** Reads a ConfigMap that is to be written. Throws ApiError. */
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
