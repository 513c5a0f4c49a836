import { LABELS, OPERATOR_FIELD_MANAGER, objectNames } from '@edge-migration/contract/edge-migration/api.ts';
import { CONFIG_MAPS, JOBS } from '@edge-migration/kubernetes/resources.ts';
import type { ActionContext, ActionTarget } from './context.ts';
import { hasEnded } from './jobs.ts';

/** How long a Job whose outcome is recorded is kept for people to look at its pods and logs. */
const KEPT_SECONDS = 86_400;

/**
 * Lets go of what is no longer needed once the outcome is in the status: the ranges (identifiers are personal data) and
 * the checkpoints at once, the Jobs after a day. The Jobs get a life of their own first, because removing the root
 * removes what it owns; one that still runs, of a plan that nobody waits for any more, goes with it.
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
  // Read by a replica that leads: a delete that arrives late does not take the plan of the next one.
  const reference = { namespace, name: objectNames(migration, operation).root };
  const root = await client.get(CONFIG_MAPS, reference, { signal });
  if (root !== undefined) await client.delete(CONFIG_MAPS, reference, { uid: root.metadata.uid, signal });
  logger.info({ jobs: items.length }, 'let go of ranges and checkpoints');
}
