import { EDGE_MIGRATIONS, LABELS } from '@edge-migration/contract/edge-migration/api.ts';
import { CONFIG_MAPS, JOBS } from '@edge-migration/kubernetes/resources.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import type { ActionContext } from './context.ts';

/** An object that claims to belong to an EdgeMigration which the cache does not have. */
export interface Orphan {
  migrationUid: string;
}

/**
 * Removes what a deleted EdgeMigration, or one being deleted, has left: its pods stop with their Job. The caches may be
 * stale, so the API server is asked first whether the EdgeMigration is really gone or has been replaced.
 */
export async function sweep(
  { client, namespace }: ActionContext,
  migration: { namespace: string; name: string },
  orphans: readonly Orphan[],
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  const living = await client.get(EDGE_MIGRATIONS, migration, { signal });
  const uids = new Set(orphans.map(({ migrationUid }) => migrationUid));
  if (living?.metadata.deletionTimestamp === undefined) uids.delete(living?.metadata.uid ?? '');
  for (const uid of uids) {
    const labelSelector = `${LABELS.migrationUid}=${uid}`;
    for (const resource of [JOBS, CONFIG_MAPS]) {
      const { items } = await client.list(resource, { namespace, labelSelector }, { signal });
      for (const { metadata } of items) {
        await client.delete(resource, { namespace, name: metadata.name }, { uid: metadata.uid, signal });
      }
    }
    logger.info({ migrationUid: uid }, 'removed what a deleted EdgeMigration had left');
  }
}
