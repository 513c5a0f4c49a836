import { CoreError } from '@edge-migration/identity/core/errors.ts';
import { EdgeError } from '@edge-migration/identity/edge/table.ts';
import { ApiError, LeadershipLostError } from '../kubernetes/errors.ts';
import { ObjectInTheWay } from './act/jobs.ts';
import type { Status } from './api.ts';
import { formatTime, shorten } from './conditions.ts';

/**
 * The one place where an error of an action becomes something that people see: condition `Degraded`, or nothing for
 * what the next try settles by itself.
 *
 * @returns undefined when the error is no matter of this migration: it was stopped, or another replica leads
 */
export function degrade(status: Status, error: unknown, signal: AbortSignal, now: number): Status | undefined {
  if (signal.aborted || error instanceof LeadershipLostError) return undefined;
  if (error instanceof ApiError && error.kind === 'conflict') return undefined;
  const reason = nameReason(error);
  const message = shorten(error instanceof Error ? error.message : String(error), 1024);
  return {
    ...status,
    message,
    conditions: (status.conditions ?? []).map((condition) =>
      condition.type === 'Degraded'
        ? {
            ...condition,
            status: 'True' as const,
            reason,
            message,
            lastTransitionTime: condition.status === 'True' ? condition.lastTransitionTime : formatTime(now),
          }
        : condition,
    ),
  };
}

function nameReason(error: unknown): string {
  if (error instanceof CoreError || error instanceof EdgeError || error instanceof ObjectInTheWay) return error.name;
  if (error instanceof ApiError) return `Kubernetes${/^[A-Za-z0-9]+$/.test(error.reason) ? error.reason : 'Error'}`;
  return 'InternalError';
}
