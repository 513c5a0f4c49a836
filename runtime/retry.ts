import { type Backoff, choosePause, doubled } from './backoff.ts';
import type { Clock } from './clock.ts';
import { dispositionOf, retryAfterOf } from './failure.ts';

/** A retry policy: attempts, total time and pauses; policies.ts has those of the product. */
export interface RetryPolicy extends Backoff {
  /** Maximum number of attempts, including the first; unlimited if omitted. */
  readonly attempts?: number;
  /** No attempt starts later than this after the first one; unlimited if omitted. */
  readonly budgetMs?: number;
  /** If the other side asks to wait for longer, the error is thrown instead. */
  readonly longestRetryAfterMs?: number;
}

export interface RetryOptions {
  readonly policy: RetryPolicy;
  readonly clock: Pick<Clock, 'monotonic' | 'sleep'>;
  readonly signal?: AbortSignal | undefined;
  /** Called for each failure that is followed by another attempt, before the pause. */
  readonly onRetry?: ((error: unknown) => void) | undefined;
  /** Replaces {@link isPassing}: if `work` reads again, a conflict is worth another attempt, too. */
  readonly isWorthIt?: ((error: unknown) => boolean) | undefined;
  readonly random?: (() => number) | undefined;
}

/** The same request may succeed without other changes. */
export function isPassing(error: unknown): boolean {
  const disposition = dispositionOf(error);
  return disposition === 'transient' || disposition === 'throttled';
}

/**
 * Runs `work` until it succeeds, with growing pauses, as long as its failures are worth it and the policy allows it.
 * The product has no other retry loop.
 *
 * After `throttled` pauses are twice as long; after the first `conflict` there is none, since the competing write is
 * done. If the other side has asked to wait (`retryAfterMs`), the pause is that long and a little more, or there is no
 * further attempt if the policy ends before.
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

/** @param failures the number of failures before this one */
function pauseAfter(error: unknown, failures: number, { policy, random = Math.random }: RetryOptions): number {
  const asked = retryAfterOf(error);
  // Never earlier; clients that were asked at the same time return one after the other.
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
