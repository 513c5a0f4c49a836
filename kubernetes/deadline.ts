import type { Clock } from '@edge-migration/runtime/clock.ts';

/** The time of {@link withDeadline} has passed. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
  readonly disposition = 'transient';
}

export interface TimeLimit {
  /** Aborted by the caller's signal with its reason, or with a {@link DeadlineError}. */
  readonly signal: AbortSignal;
  /** Restarts the time, which makes it a limit on inactivity; never shortens it. */
  extend(milliseconds: number): void;
}

/**
 * Runs a task under a time limit. The task must obey the signal; nothing keeps running when it settles.
 *
 * @param milliseconds from now, or from the last `extend()`
 */
export async function withDeadline<T>(
  clock: Clock,
  milliseconds: number,
  caller: AbortSignal | undefined,
  task: (deadline: TimeLimit) => Promise<T>,
): Promise<T> {
  const deadline = startDeadline(clock, milliseconds, caller);
  try {
    return await task(deadline);
  } finally {
    deadline.stop();
  }
}

/** The same for work that is not one promise (a stream): the caller must `stop()` it. */
export function startDeadline(clock: Clock, milliseconds: number, caller?: AbortSignal): TimeLimit & { stop(): void } {
  caller?.throwIfAborted();
  const limit = new AbortController();
  const timer = new AbortController();
  const onCallerAbort = () => limit.abort(caller?.reason);
  caller?.addEventListener('abort', onCallerAbort, { once: true });
  let limitMs = milliseconds;
  let end = clock.monotonic() + milliseconds;

  async function expire() {
    // One timer for any number of extensions: a busy watch extends it with every frame.
    for (let left = milliseconds; left > 0; left = end - clock.monotonic()) await clock.sleep(left, timer.signal);
    limit.abort(new DeadlineError(`no answer within ${limitMs} ms`));
  }
  expire().catch(() => {}); // stopped

  return {
    signal: limit.signal,
    extend(again) {
      limitMs = again;
      end = clock.monotonic() + again;
    },
    stop() {
      caller?.removeEventListener('abort', onCallerAbort);
      timer.abort();
    },
  };
}

/** Settles with the promise, or rejects as soon as the signal is aborted; the promise's later result is ignored. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** Resolves when the signal is aborted, at once if it already is. */
export function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
