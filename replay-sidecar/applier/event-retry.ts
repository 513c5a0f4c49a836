import { DeadlinePassedError } from '@edge-migration/identity/edge/table/table.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { dispositionOf } from '@edge-migration/runtime/failure.ts';
import { EVENT, STORE_OUTAGE } from '@edge-migration/runtime/policies.ts';
import { isPassing, retry } from '@edge-migration/runtime/retry.ts';

/** A store is entirely unusable; the failure says nothing about the event. */
export function isOutage(error: unknown): boolean {
  return isPassing(error) || dispositionOf(error) === 'misconfigured';
}

export interface EventRetry {
  /**
   * Runs `work` until it succeeds: forever through outages of the stores, otherwise `EVENT.attempts` times, and once
   * past a deadline.
   *
   * @throws the last error of `work`; the signal's reason
   */
  run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>;
  /** A store's answer to work that still waits for it. */
  outage(): unknown;
  /** All of these answers. */
  outages(): readonly unknown[];
}

/**
 * A success says nothing about what still fails: a store may refuse one request for hours and answer all others.
 *
 * @param onOutage receives an outage's error when it begins and undefined when nothing fails any more
 */
export function createEventRetry(clock: Clock, onOutage: (error: unknown) => void): EventRetry {
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
    async run(work, signal) {
      const own = Symbol('work');
      const outlastOutages = () =>
        retry(work, {
          ...{ policy: STORE_OUTAGE, clock, signal },
          isWorthIt: isOutage,
          onRetry: (error) => note(own, error),
        });
      try {
        const result = await retry(outlastOutages, {
          ...{ policy: EVENT, clock, signal },
          isWorthIt: (error) => !(error instanceof DeadlinePassedError),
        });
        note(own, undefined);
        return result;
      } finally {
        // Given up: that says nothing about the store.
        failing.delete(own);
      }
    },
  };
}
