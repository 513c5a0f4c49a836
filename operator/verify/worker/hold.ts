import type { SendDeadline } from '@edge-migration/identity/edge/table/table.ts';
import { type Clock, momentOf, mostSince } from '@edge-migration/runtime/clock.ts';

/** A pod that stands still for longer than this, or is cut off, has let go of its range. */
export const HOLD_MS = 30_000;

export interface HoldOptions {
  readonly clock: Clock;
  /** How long a pod may write after it began to make sure that the range is its own. */
  readonly holdMs: number;
  /**
   * Makes sure that no other pod has taken the range over, and writes down what is about to be done.
   *
   * @throws RangeTakenOverError when another one has
   */
  readonly claim: (signal: AbortSignal) => Promise<void>;
}

/**
 * Runs `work` while the range is certainly this pod's own. A pod that stood still, or cannot reach the API server, finds the
 * deadline passed and sends nothing more: by then another one may have taken over.
 *
 * @throws what `work` throws, and what `claim` does, which ends `work`
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
      // A write that is given up may arrive all the same, and undo the save that follows.
      await claim(signal);
      asked = now;
    }
  }

  const renewing = renew().catch((error: unknown) => ending.abort(error));
  try {
    return await work({ left: () => holdMs - mostSince(clock, asked) }, either);
  } finally {
    ending.abort(new Error('What was held for is done'));
    await renewing;
  }
}
