import { ConvergenceContention } from '@edge-migration/identity/converge.ts';
import { CoreRefused, CoreTimeout, CoreUnreachable, CoreUnsupported } from '@edge-migration/identity/core/errors.ts';
import {
  DeadlinePassed,
  EdgeError,
  EdgeRefused,
  TableMissing,
  WrongTable,
} from '@edge-migration/identity/edge/table/table.ts';
import { ApiError } from '@edge-migration/kubernetes/errors.ts';
import { choosePause } from '@edge-migration/runtime/backoff.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { ConfigurationError } from '@edge-migration/runtime/configuration.ts';
import { isPassing } from '@edge-migration/runtime/retry.ts';
import { EXIT } from '../edge-migration/objects.ts';

/** The worker cannot go on, for a reason of its own. */
export class WorkerError extends Error {
  override readonly name = 'WorkerError';
  readonly kind: FailureKind;

  constructor(kind: FailureKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** Another pod has the range now: this one, which was taken for dead, ends at once. */
export class RangeTakenOver extends WorkerError {
  constructor(holder: string) {
    super('temporary', `Another pod (${holder}) has taken over this range`);
  }
}

/**
 * What a failure means for the Job: `temporary` is worth another pod, `misconfigured` fails for every range alike, and
 * `poisoned` would fail again for this range only.
 */
export type FailureKind = 'temporary' | 'misconfigured' | 'poisoned';

const MISCONFIGURED = [ConfigurationError, CoreRefused, CoreUnsupported, EdgeRefused, TableMissing, WrongTable];
const TEMPORARY = [CoreUnreachable, CoreTimeout, ConvergenceContention, DeadlinePassed];

/** Sorts whatever was thrown. What nobody has thought of is `poisoned`: it is most likely about this range's data. */
export function failureKind(error: unknown): FailureKind {
  if (error instanceof WorkerError) return error.kind;
  if (MISCONFIGURED.some((type) => error instanceof type)) return 'misconfigured';
  if (TEMPORARY.some((type) => error instanceof type)) return 'temporary';
  if (error instanceof EdgeError && isPassing(error)) return 'temporary';
  if (error instanceof ApiError && error.kind !== 'terminal') return 'temporary';
  return 'poisoned';
}

/** The exit code by which the Job's failure policy tells them apart; 75 is EX_TEMPFAIL of sysexits.h. */
export function exitCode(error: unknown): number {
  const kind = failureKind(error);
  return kind === 'temporary' ? 75 : EXIT[kind];
}

const BACKOFF = { firstMs: 200, longestMs: 10_000 };

export interface Patience {
  readonly clock: Clock;
  /** How long one and the same thing may go on failing. */
  readonly milliseconds: number;
  readonly signal: AbortSignal;
  /** A failure that is about to be tried again. */
  readonly onRetry?: (error: unknown) => void;
}

/** Repeats `work` with growing pauses while it fails for reasons that may pass. */
export async function withPatience<T>(
  { clock, milliseconds, signal, onRetry }: Patience,
  work: () => Promise<T>,
): Promise<T> {
  const started = clock.monotonic();
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof RangeTakenOver || failureKind(error) !== 'temporary') throw error;
      if (clock.monotonic() - started >= milliseconds) throw error;
      onRetry?.(error);
    }
    await clock.sleep(choosePause(BACKOFF, attempt), signal);
  }
}
