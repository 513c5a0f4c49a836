import { LABELS, OPERATOR_FIELD_MANAGER, objectNames } from '@edge-migration/contract/edge-migration/api.ts';
import { CONFIG_MAPS, JOBS } from '@edge-migration/kubernetes/resources.ts';
import type { ActionContext, ActionTarget } from './context.ts';
import { hasEnded } from './jobs.ts';

/** How long a Job is kept after its outcome is recorded, so that people can read its pods and logs. */
const KEPT_SECONDS = 86_400;

/**
 * Cleans up once the outcome is in the status: the ranges (identifiers are personal data) and the checkpoints at once,
 * the Jobs after a day. The Jobs are detached first, because removing the root removes what it owns; a Job that still
 * runs for an abandoned plan is removed with it.
 */
export async function retireWork(
  { client, namespace }: ActionContext,
  { migration, operation, logger, signal }: ActionTarget,
) {
  const labelSelector = `${LABELS.migrationUid}=${migration.uid},${LABELS.component}=${operation}`;
  const { items } = await client.list(JOBS, { namespace, labelSelector }, { signal });
  for (const { metadata } of items.filter(hasEnded)) {
    const { name, uid } = metadata;
    const patch = { metadata: { uid, ownerReferences: null }, spec: { ttlSecondsAfterFinished: KEPT_SECONDS } };
    await client.patch(JOBS, { namespace, name }, patch, { fieldManager: OPERATOR_FIELD_MANAGER, signal });
  }
  // Read while this replica leads: a delete that arrives late does not remove the next leader's plan.
  const reference = { namespace, name: objectNames(migration, operation).root };
  const root = await client.get(CONFIG_MAPS, reference, { signal });
  if (root !== undefined) await client.delete(CONFIG_MAPS, reference, { uid: root.metadata.uid, signal });
  logger.info({ jobs: items.length }, 'let go of ranges and checkpoints');
}
