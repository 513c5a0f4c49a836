import { systemClock } from '@edge-migration/runtime/clock.ts';

/** The condition was not met in time; `cause` is the last error of checking it, if any. */
export class WaitTimeoutError extends Error {
  override readonly name = 'WaitTimeoutError';
}

export interface WaitOptions {
  /** Completes the message "timed out waiting for …". */
  for: string;
  timeoutMs?: number;
  /** Between two checks, for states that pass; by default 20 ms, growing with the wait and with what a check takes. */
  intervalMs?: number;
  signal?: AbortSignal;
}

/**
 * Polls until `condition` returns something other than `false`, `null` or `undefined`, and returns it.
 * A condition that throws counts as not yet true.
 *
 * @throws WaitTimeoutError after `timeoutMs` (two minutes by default); the signal's reason when it is aborted
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: WaitOptions,
): Promise<Exclude<T, false | null | undefined>> {
  const { timeoutMs = 120_000, signal } = options;
  const begun = systemClock.monotonic();
  const deadline = begun + timeoutMs;
  let lastError: unknown;
  for (;;) {
    signal?.throwIfAborted();
    const asked = systemClock.monotonic();
    try {
      const value = await condition();
      if (value !== false && value !== null && value !== undefined) {
        return value as Exclude<T, false | null | undefined>;
      }
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    const answered = systemClock.monotonic();
    if (answered >= deadline) {
      const detail = lastError instanceof Error ? `: ${lastError.message}` : '';
      throw new WaitTimeoutError(`Timed out after ${timeoutMs} ms waiting for ${options.for}${detail}`, {
        cause: lastError,
      });
    }
    const { intervalMs = chooseInterval(answered - begun, answered - asked) } = options;
    await systemClock.sleep(intervalMs, signal);
  }
}

const SHORTEST_MS = 20;
const LONGEST_MS = 250;
/** Times what a check took, as far as the longest interval allows: several waits at once leave time for the product. */
const REST = 4;

/** An old condition need not be noticed at once: a wait gets a twentieth longer at most, at little cost to others. */
function chooseInterval(waitedMs: number, tookMs: number): number {
  return Math.min(Math.max(waitedMs / 20, REST * tookMs, SHORTEST_MS), LONGEST_MS);
}
