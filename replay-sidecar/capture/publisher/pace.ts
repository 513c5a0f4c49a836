import type { Clock } from '@edge-migration/identity/clock.ts';

/** How fast to go on after failures. */
export interface Pace {
  /** How many may be under way now: all of `window` in good times, after a failure none for a while, then one. */
  allows(window: number): number;
  succeeded(): void;
  failed(): void;
  isFailing(): boolean;
}

const FIRST_PAUSE_MILLIS = 200;
const LONGEST_PAUSE_MILLIS = 10_000;

/** Pauses grow with the failures in a row, with jitter; failures of one burst count once. */
export function createPace(clock: Clock): Pace {
  let failures = 0;
  let pausedUntil = 0;
  return {
    allows(window) {
      if (failures === 0) return window;
      return clock.monotonic() < pausedUntil ? 0 : 1;
    },
    succeeded() {
      failures = 0;
    },
    failed() {
      if (failures > 0 && clock.monotonic() < pausedUntil) return;
      const pause = Math.min(LONGEST_PAUSE_MILLIS, FIRST_PAUSE_MILLIS * 2 ** failures);
      failures += 1;
      pausedUntil = clock.monotonic() + pause * (0.5 + Math.random() / 2);
    },
    isFailing: () => failures > 0,
  };
}
