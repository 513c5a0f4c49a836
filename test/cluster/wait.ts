import { systemClock } from '@edge-migration/runtime/clock.ts';

/** The condition did not come true in time; `cause` is the last error that checking it threw, if any. */
export class WaitTimeoutError extends Error {
  override readonly name = 'WaitTimeoutError';
}

export interface WaitOptions {
  /** What is waited for, as it should read in "timed out waiting for …". */
  for: string;
  timeoutMs?: number;
  /** Between two looks; by default 20 ms, and more the longer it takes. */
  intervalMs?: number;
  signal?: AbortSignal;
}

/**
 * Polls until `condition` returns something other than `false`, `null` or `undefined`, and returns it.
 * A condition that throws counts as not yet true.
 *
 * @throws WaitTimeoutError after `timeoutMs` (30 s by default); the signal's reason when it is aborted
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: WaitOptions,
): Promise<Exclude<T, false | null | undefined>> {
  const { timeoutMs = 30_000, signal } = options;
  const begun = systemClock.monotonic();
  const deadline = begun + timeoutMs;
  let lastError: unknown;
  for (;;) {
    signal?.throwIfAborted();
    try {
      const value = await condition();
      if (value !== false && value !== null && value !== undefined) {
        return value as Exclude<T, false | null | undefined>;
      }
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (systemClock.monotonic() >= deadline) {
      const detail = lastError instanceof Error ? `: ${lastError.message}` : '';
      throw new WaitTimeoutError(`Timed out after ${timeoutMs} ms waiting for ${options.for}${detail}`, {
        cause: lastError,
      });
    }
    const { intervalMs = chooseInterval(systemClock.monotonic() - begun) } = options;
    await systemClock.sleep(intervalMs, signal);
  }
}

const SHORTEST_MS = 20;
const LONGEST_MS = 250;

/** What has not happened for long need not be seen at once: a wait is a twentieth longer at most, and costs others little. */
function chooseInterval(waitedMs: number): number {
  return Math.min(Math.max(waitedMs / 20, SHORTEST_MS), LONGEST_MS);
}
