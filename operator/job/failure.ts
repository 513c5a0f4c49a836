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
    super('conflict', `Another pod (${holder}) has taken over this range`);
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

export interface Patience {
  readonly clock: Clock;
  /** How long the same work may keep failing. */
  readonly patienceMs: number;
  readonly signal: AbortSignal;
  /** Called before each retry. */
  readonly onRetry?: (error: unknown) => void;
}

/** Repeats `work`, which reads again each time, while it fails for temporary reasons. */
export function withPatience<T>({ patienceMs, ...options }: Patience, work: () => Promise<T>): Promise<T> {
  return retry(work, { ...options, policy: { ...WORKER_CALL, budgetMs: patienceMs }, isWorthIt });
}

export interface PatienceOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly patienceMs: number;
}

/**
 * A worker's patience.
 *
 * @param onRetry called with each failure before the retry; it is logged in any case
 */
export function patienceOf(
  { clock, logger, patienceMs }: PatienceOptions,
  signal: AbortSignal,
  onRetry: (error: unknown) => void = () => {},
): Patience {
  return {
    clock,
    patienceMs,
    signal,
    onRetry(error) {
      onRetry(error);
      logger.warn({ error: errorMessage(error) }, 'trying again');
    },
  };
}

/** {@link withPatience} for one worker; `signal` replaces its own. */
export type Patiently = <T>(work: () => Promise<T>, signal?: AbortSignal) => Promise<T>;

export const createPatience =
  (patience: Patience): Patiently =>
  (work, signal = patience.signal) =>
    withPatience({ ...patience, signal }, work);

function isWorthIt(error: unknown): boolean {
  return !(error instanceof RangeTakenOverError) && exitCode(error) === WORKER_EXIT.temporary;
}
