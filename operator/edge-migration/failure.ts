import type { EdgeMigration, Status } from '@edge-migration/contract/edge-migration/api.ts';
import { CoreError } from '@edge-migration/identity/core/errors.ts';
import { EdgeError } from '@edge-migration/identity/edge/table/table.ts';
import { setConditions } from '@edge-migration/kubernetes/conditions.ts';
import { ApiError, LeadershipLostError } from '@edge-migration/kubernetes/errors.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import { ObjectInTheWayError } from './act/jobs.ts';
import { shorten } from './conditions.ts';

/**
 * The one place where an error of an action becomes visible: as condition `Degraded`, or not at all when the next try
 * settles it by itself. Everything else stays unchanged: what was decided has not happened, and the next pass must
 * decide it again.
 *
 * @returns undefined when the error does not concern this migration: it was stopped, or another replica leads
 */
export function degrade(
  { status: before, generation }: EdgeMigration,
  error: unknown,
  signal: AbortSignal,
  now: number,
): Status | undefined {
  if (signal.aborted || error instanceof LeadershipLostError) return undefined;
  if (error instanceof ApiError && error.disposition === 'conflict') return undefined;
  const message = shorten(errorMessage(error), 1024);
  const degraded = { type: 'Degraded', status: 'True', reason: nameReason(error), message } as const;
  return {
    ...before,
    observedGeneration: generation,
    message,
    conditions: setConditions(before.conditions ?? [], [degraded], generation, now),
  };
}

function nameReason(error: unknown): string {
  if (error instanceof CoreError || error instanceof EdgeError || error instanceof ObjectInTheWayError)
    return error.name;
  if (error instanceof ApiError) return `Kubernetes${/^[A-Za-z0-9]+$/.test(error.reason) ? error.reason : 'Error'}`;
  return 'InternalError';
}
