import { CoreRefused, CoreTimeout, CoreUnreachable, CoreUnsupported } from '@edge-migration/identity/core/errors.ts';
import { DeadlinePassed, EdgeError, WriteRejected } from '@edge-migration/identity/edge/table/table.ts';
import { choosePause } from '@edge-migration/runtime/backoff.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';

/** A store cannot be used at all; what failed says nothing about the event. */
export function isOutage(error: unknown): boolean {
  if (error instanceof EdgeError) return !(error instanceof WriteRejected);
  return [CoreUnreachable, CoreTimeout, CoreRefused, CoreUnsupported].some((kind) => error instanceof kind);
}

export interface Patience {
  /**
   * Runs `work` until it succeeds: for ever through outages of the stores, `ATTEMPTS` times otherwise, once past a
   * deadline.
   *
   * @throws the last error of `work`; the signal's reason
   */
  persist<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>;
  /** What a store answered to work that waits for it still. */
  outage(): unknown;
  /** All of these answers. */
  outages(): readonly unknown[];
}

const ATTEMPTS = 5;
const BACKOFF = { firstMs: 100, longestMs: 10_000 };

/**
 * Something that succeeds says nothing about what still fails: a store may refuse one question for hours and answer all
 * others.
 *
 * @param onOutage told when an outage begins and, with undefined, when nothing fails any more
 */
export function createPatience(clock: Clock, onOutage: (error: unknown) => void): Patience {
  /** The last error of each work that waits for a store. */
  const failing = new Map<symbol, unknown>();

  function note(work: symbol, error: unknown): void {
    const hadOutage = failing.size > 0;
    if (error === undefined) failing.delete(work);
    else failing.set(work, error);
    if (hadOutage !== failing.size > 0) onOutage(error);
  }

  return {
    outage: () => failing.values().next().value,
    outages: () => [...failing.values()],
    async persist(work, signal) {
      const own = Symbol('work');
      try {
        for (let attempt = 0, failures = 0; ; attempt++) {
          try {
            const result = await work();
            note(own, undefined);
            return result;
          } catch (error) {
            signal.throwIfAborted();
            if (isOutage(error)) note(own, error);
            else if (error instanceof DeadlinePassed || ++failures >= ATTEMPTS) throw error;
          }
          await clock.sleep(choosePause(BACKOFF, attempt), signal);
        }
      } finally {
        // Given up: that says nothing of the store.
        failing.delete(own);
      }
    },
  };
}
