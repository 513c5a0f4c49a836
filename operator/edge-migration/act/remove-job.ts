import { objectNames } from '@edge-migration/contract/edge-migration/api.ts';
import { JOBS } from '@edge-migration/kubernetes/resources.ts';
import type { ActionContext, ActionTarget } from './context.ts';

/** Removes a Job whose workers have ended but whose pods have not. It stays visible until the last pod is gone. */
export async function removeJob(
  { client, namespace }: ActionContext,
  { migration, operation, logger, signal }: ActionTarget,
  { attempt, uid }: { attempt: number; uid: string },
) {
  const name = objectNames(migration, operation).job(attempt);
  await client.delete(JOBS, { namespace, name }, { uid, propagationPolicy: 'Foreground', signal });
  logger.info({ job: name }, 'removed the Job: its workers have ended, but its pods do not end by themselves');
}
