import type { Clock } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import { type Disposition, dispositionOf } from '@edge-migration/runtime/failure.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { WORKER_CALL } from '@edge-migration/runtime/policies.ts';
import { retry } from '@edge-migration/runtime/retry.ts';
import { WORKER_EXIT } from '../edge-migration/objects.ts';

/** The worker cannot continue, for a reason of its own. */
export class WorkerError extends Error {
  override readonly name = 'WorkerError';
  readonly disposition: Disposition;

  constructor(disposition: Disposition, message: string, options?: ErrorOptions) {
    super(message, options);
    this.disposition = disposition;
  }
}

/** Another pod has the range now: this one was considered dead, and ends at once. */
export class RangeTakenOverError extends WorkerError {
  constructor(holder: string) {
    super('conflict', `another pod (${holder}) has taken over this range`);
  }
}

/**
 * The exit code for the Job's failure policy. An unforeseen error fails this range alone: most likely its data is the
 * cause.
 */
export function exitCode(error: unknown): number {
  switch (dispositionOf(error)) {
    case 'transient':
    case 'throttled':
    case 'conflict':
      return WORKER_EXIT.temporary;
    case 'misconfigured':
      return WORKER_EXIT.misconfigured;
    case 'rejected':
    case undefined:
      return WORKER_EXIT.rejected;
  }
}

export interface RetryContext {
  readonly clock: Clock;
  /** How long the same work may keep failing. */
  readonly retryBudgetMs: number;
  readonly signal: AbortSignal;
  /** Called before each retry. */
  readonly onRetry?: (error: unknown) => void;
}

/** Repeats `work`, which reads again each time, while it fails for temporary reasons. */
export function withRetry<T>({ retryBudgetMs, ...options }: RetryContext, work: () => Promise<T>): Promise<T> {
  return retry(work, { ...options, policy: { ...WORKER_CALL, budgetMs: retryBudgetMs }, isWorthIt });
}

export interface RetryContextOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly retryBudgetMs: number;
}

/**
 * How a worker retries a step.
 *
 * @param onRetry called with each failure before the retry; it is logged in any case
 */
export function createRetryContext(
  { clock, logger, retryBudgetMs }: RetryContextOptions,
  signal: AbortSignal,
  onRetry: (error: unknown) => void = () => {},
): RetryContext {
  return {
    clock,
    retryBudgetMs,
    signal,
    onRetry(error) {
      onRetry(error);
      logger.warn({ error: errorMessage(error) }, 'trying again');
    },
  };
}

/** {@link withRetry} for one worker; `signal` replaces its own. */
export type Retrying = <T>(work: () => Promise<T>, signal?: AbortSignal) => Promise<T>;

export const createRetrying =
  (context: RetryContext): Retrying =>
  (work, signal = context.signal) =>
    withRetry({ ...context, signal }, work);

function isWorthIt(error: unknown): boolean {
  return !(error instanceof RangeTakenOverError) && exitCode(error) === WORKER_EXIT.temporary;
}
