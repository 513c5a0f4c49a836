import { isDeepStrictEqual } from 'node:util';
import {
  EDGE_MIGRATIONS,
  type EdgeMigration,
  OPERATOR_FIELD_MANAGER,
  type Status,
} from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesClient } from '@edge-migration/kubernetes/client.ts';

/**
 * Writes the whole status by server-side apply, or nothing when it is unchanged.
 *
 * @throws ConflictError when the EdgeMigration has changed since it was read, or another one has its name by now (a uid
 *   would not show this: the status subresource ignores it)
 */
export async function applyStatus(
  client: KubernetesClient,
  { namespace, name, resourceVersion, status: before }: EdgeMigration,
  status: Status,
  signal: AbortSignal,
): Promise<boolean> {
  if (isDeepStrictEqual(before, status)) return false;
  const { group, version, kind } = EDGE_MIGRATIONS;
  const object = { apiVersion: `${group}/${version}`, kind, metadata: { namespace, name, resourceVersion }, status };
  await client.apply(EDGE_MIGRATIONS, object, {
    fieldManager: OPERATOR_FIELD_MANAGER,
    force: true,
    subresource: 'status',
    signal,
  });
  return true;
}
