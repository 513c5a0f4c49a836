import { type Backoff, choosePause, doubled } from './backoff.ts';
import type { Clock } from './clock.ts';
import { dispositionOf, retryAfterOf } from './failure.ts';

/** How often, how long and how fast to try again; policies.ts has those of the product. */
export interface RetryPolicy extends Backoff {
  /** Tries at most, the first one included; any number when left out. */
  readonly attempts?: number;
  /** What fails so long after the first try began is not tried again; for ever when left out. */
  readonly budgetMs?: number;
  /** Whoever is asked to wait for longer is told so by the error, instead of waiting here. */
  readonly longestRetryAfterMs?: number;
}

export interface RetryOptions {
  readonly policy: RetryPolicy;
  readonly clock: Pick<Clock, 'monotonic' | 'sleep'>;
  readonly signal?: AbortSignal | undefined;
  /** Told of each failure after which there is another try, before the pause. */
  readonly onRetry?: ((error: unknown) => void) | undefined;
  /** Instead of {@link isPassing}: where `work` reads again, a conflict is worth another try, too. */
  readonly isWorthIt?: ((error: unknown) => boolean) | undefined;
  readonly random?: (() => number) | undefined;
}

/** The same request may succeed by itself. */
export function isPassing(error: unknown): boolean {
  const disposition = dispositionOf(error);
  return disposition === 'transient' || disposition === 'throttled';
}

/**
 * Runs `work` until it succeeds, with growing pauses, as long as its failures are worth it and the policy allows it. The
 * product has no other loop that tries again what has failed.
 *
 * After `throttled` pauses are twice as long; after the first `conflict` there is none, since whoever was quicker is done.
 * When the other side has asked to wait (`retryAfterMs`), it is waited for so long and a little more, or not at all where
 * the policy ends before.
 *
 * @throws the last error of `work`; the signal's reason once it is aborted
 */
export async function retry<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { policy, clock, signal, onRetry, isWorthIt = isPassing } = options;
  const { attempts = Number.POSITIVE_INFINITY, budgetMs = Number.POSITIVE_INFINITY } = policy;
  const { longestRetryAfterMs = Number.POSITIVE_INFINITY } = policy;
  const started = clock.monotonic();
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    let pauseMs: number;
    try {
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      const leftMs = budgetMs - (clock.monotonic() - started);
      const isOver = attempt >= attempts || leftMs <= 0;
      const isTooLong = (retryAfterOf(error) ?? 0) > Math.min(leftMs, longestRetryAfterMs);
      if (isOver || isTooLong || !isWorthIt(error)) throw error;
      onRetry?.(error);
      pauseMs = pauseAfter(error, attempt - 1, options);
    }
    if (pauseMs > 0) await clock.sleep(pauseMs, signal);
  }
}

/** @param failures how many there were before this one */
function pauseAfter(error: unknown, failures: number, { policy, random = Math.random }: RetryOptions): number {
  const asked = retryAfterOf(error);
  // Never earlier; all who were asked at the same time come back one after the other.
  if (asked !== undefined) return asked + random() * doubled(policy, failures);
  switch (dispositionOf(error)) {
    case 'throttled':
      return choosePause(policy, failures + 1, random);
    case 'conflict':
      return failures === 0 ? 0 : choosePause(policy, failures - 1, random);
    default:
      return choosePause(policy, failures, random);
  }
}
