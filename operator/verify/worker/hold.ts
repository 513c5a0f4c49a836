import type { SendDeadline } from '@edge-migration/identity/edge/table/table.ts';
import { type Clock, momentOf, mostSince } from '@edge-migration/runtime/clock.ts';

/** A pod that is frozen or cut off for longer than this has given up its range. */
export const HOLD_MS = 30_000;

export interface HoldOptions {
  readonly clock: Clock;
  /** How long a pod may write after the start of its last successful claim. */
  readonly holdMs: number;
  /**
   * Makes sure that no other pod has taken over the range, and records the work that follows.
   *
   * @throws RangeTakenOverError if another one has
   */
  readonly claim: (signal: AbortSignal) => Promise<void>;
}

/**
 * Runs `work` while the range certainly belongs to this pod. A pod that was frozen, or cannot reach the API server,
 * finds the deadline expired and sends nothing more: by then another one may have taken over.
 *
 * @throws errors of `work`, and of `claim`, which abort `work`
 */
export async function whileHolding<T>(
  { clock, holdMs, claim }: HoldOptions,
  signal: AbortSignal,
  work: (deadline: SendDeadline, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const ending = new AbortController();
  const either = AbortSignal.any([signal, ending.signal]);
  let asked = momentOf(clock);
  await claim(signal);

  async function renew(): Promise<never> {
    for (;;) {
      await clock.sleep(holdMs / 3, either);
      const now = momentOf(clock);
      // Not aborted with `work`: an abandoned write may still arrive, and undo the following save.
      await claim(signal);
      asked = now;
    }
  }

  const renewing = renew().catch((error: unknown) => ending.abort(error));
  try {
    return await work({ left: () => holdMs - mostSince(clock, asked) }, either);
  } finally {
    ending.abort(new Error('the held work is done'));
    await renewing;
  }
}
