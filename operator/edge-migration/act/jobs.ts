import { LABELS, OPERATOR_FIELD_MANAGER, objectNames } from '@edge-migration/contract/edge-migration/api.ts';
import type { KubernetesObject } from '@edge-migration/kubernetes/client.ts';
import { AlreadyExistsError } from '@edge-migration/kubernetes/errors.ts';
import { CONFIG_MAPS, JOBS } from '@edge-migration/kubernetes/resources.ts';
import type { Action } from '../actions.ts';
import { buildJob } from '../objects.ts';
import { definitionOf } from '../work-definition.ts';
import type { ActionContext, ActionTarget } from './context.ts';

/** Another Job or ConfigMap stands in the way; the message says which, and what to do. */
export class ObjectInTheWayError extends Error {
  /** Published, as the reason of a condition. */
  override readonly name = 'ObjectInTheWay';
}

/**
 * Starts the Job of one attempt. The cache behind the decision may be stale, so the previous attempt is looked up
 * again: two Jobs of one migration never run at the same time. The name is the attempt's, so a second call finds the
 * first one's Job and leaves it.
 */
export async function createJob(
  context: ActionContext,
  target: ActionTarget,
  { attempt, rangeIds, parallelism, comparison }: Omit<Extract<Action, { kind: 'createJob' }>, 'kind' | 'operation'>,
) {
  const { client, namespace, pageMaxAgeSeconds, lateWriteSeconds } = context;
  const { migration, operation, logger, signal } = target;
  const { entryPoint, template, instruct } = definitionOf(operation);
  const names = objectNames(migration, operation);
  const root = await client.get(CONFIG_MAPS, { namespace, name: names.root }, { signal });
  // Removed meanwhile: the next pass plans again.
  if (root?.metadata.uid === undefined) return;
  if (attempt > 1 && !(await hasGone(context, target, names.job(attempt - 1)))) return;
  if (attempt > 1 && (await areDone(context, target, rangeIds, root.metadata.uid))) return;
  const source = { migration, operation, namespace, settingsName: names.root, rangeIds, lateWriteSeconds };
  const job = buildJob({
    migration,
    operation,
    namespace,
    root: { name: names.root, uid: root.metadata.uid },
    attempt,
    rangeIds,
    parallelism,
    template: context[template],
    entryPoint,
    work: instruct(source, { pageMaxAgeSeconds, comparison }),
  });
  try {
    await client.create(JOBS, job, { fieldManager: OPERATOR_FIELD_MANAGER, signal });
    logger.info({ job: job.metadata.name, ranges: rangeIds.length, parallelism }, 'started the Job');
  } catch (error) {
    if (!(error instanceof AlreadyExistsError)) throw error;
    await checkOwner(context, names.job(attempt), target);
  }
}

/** Whether the previous attempt is over. */
async function hasGone({ client, namespace }: ActionContext, { signal }: ActionTarget, name: string): Promise<boolean> {
  const job = await client.get(JOBS, { namespace, name }, { signal });
  return job === undefined || hasEnded(job);
}

/** Whether the checkpoints of this plan's ranges show that nothing is left to do. */
async function areDone(
  { client, namespace }: ActionContext,
  { migration, operation, signal }: ActionTarget,
  rangeIds: readonly number[],
  rootUid: string,
): Promise<boolean> {
  const { isDone } = definitionOf(operation);
  if (isDone === undefined) return false;
  const { checkpointPrefix } = objectNames(migration, operation);
  for (const rangeId of rangeIds) {
    const name = `${checkpointPrefix}-${rangeId}`;
    const object = await client.get(CONFIG_MAPS, { namespace, name }, { signal });
    const isOfThisPlan = object?.metadata.ownerReferences?.some(({ uid }) => uid === rootUid) ?? false;
    const text = (object?.['data'] as Record<string, string> | undefined)?.['checkpoint'];
    if (!isOfThisPlan || !isDone(text ?? '')) return false;
  }
  return true;
}

/** Whether a Job's last pod has ended. */
export const hasEnded = (job: KubernetesObject): boolean =>
  hasCondition(job, 'Complete') || hasCondition(job, 'Failed');

function hasCondition(job: KubernetesObject, type: string): boolean {
  const { conditions = [] } = (job['status'] ?? {}) as { conditions?: { type: string; status: string }[] };
  return conditions.some((condition) => condition.type === type && condition.status === 'True');
}

async function checkOwner({ client, namespace }: ActionContext, name: string, { migration, signal }: ActionTarget) {
  const job = await client.get(JOBS, { namespace, name }, { signal });
  const owner = job?.metadata.labels?.[LABELS.migrationUid];
  if (job !== undefined && owner !== migration.uid) {
    throw new ObjectInTheWayError(
      `Job ${namespace}/${name} exists and belongs to ${owner ?? 'something else'}; delete it if nothing needs it`,
    );
  }
}

/** Suspends, resumes or widens a running Job. */
export async function adjustJob(
  { client, namespace }: ActionContext,
  { migration, operation, logger, signal }: ActionTarget,
  { attempt, uid, suspend, parallelism }: { attempt: number; uid: string; suspend: boolean; parallelism: number },
) {
  const name = objectNames(migration, operation).job(attempt);
  await client.patch(
    JOBS,
    { namespace, name },
    { metadata: { uid }, spec: { suspend, parallelism } },
    { fieldManager: OPERATOR_FIELD_MANAGER, signal },
  );
  logger.info({ job: name, suspend, parallelism }, 'adjusted the Job');
}
