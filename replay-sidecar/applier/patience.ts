import { choosePause } from '@edge-migration/identity/backoff.ts';
import type { Clock } from '@edge-migration/identity/clock.ts';
import { CoreRefused, CoreTimeout, CoreUnreachable, CoreUnsupported } from '@edge-migration/identity/core/errors.ts';
import { EdgeError, WriteRejected } from '@edge-migration/identity/edge/table.ts';

/** A store cannot be used at all; what failed says nothing about the event. */
export function isOutage(error: unknown): boolean {
  if (error instanceof EdgeError) return !(error instanceof WriteRejected);
  return [CoreUnreachable, CoreTimeout, CoreRefused, CoreUnsupported].some((kind) => error instanceof kind);
}

export interface Patience {
  /**
   * Runs `work` until it succeeds: for ever through outages of the stores, `ATTEMPTS` times otherwise.
   *
   * @throws the last error of `work`; the signal's reason
   */
  persist<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T>;
  /** What a store's last answer was, if it was an outage that still lasts. */
  outage(): unknown;
}

export const ATTEMPTS = 5;
const BACKOFF = { firstMilliseconds: 100, longestMilliseconds: 10_000 };

/** @param onOutage told when an outage begins and, with undefined, when it is over */
export function createPatience(clock: Clock, onOutage: (error: unknown) => void): Patience {
  let outage: unknown;

  function note(error: unknown): void {
    const isChange = (outage === undefined) !== (error === undefined);
    outage = error;
    if (isChange) onOutage(error);
  }

  return {
    outage: () => outage,
    async persist(work, signal) {
      for (let attempt = 0, failures = 0; ; attempt++) {
        try {
          const result = await work();
          note(undefined);
          return result;
        } catch (error) {
          signal.throwIfAborted();
          if (isOutage(error)) note(error);
          else if (++failures >= ATTEMPTS) throw error;
        }
        await clock.sleep(choosePause(BACKOFF, attempt), signal);
      }
    },
  };
}
