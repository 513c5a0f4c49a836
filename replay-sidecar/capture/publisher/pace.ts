import { choosePause } from '@edge-migration/runtime/backoff.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { SIDECAR_PUBLISH } from '@edge-migration/runtime/policies.ts';

/** How fast to go on after failures. */
export interface Pace {
  /** How many may be under way now: all of `window` in good times, after a failure none for a while, then one. */
  allows(window: number): number;
  succeeded(): void;
  failed(): void;
  isFailing(): boolean;
}

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
      pausedUntil = clock.monotonic() + choosePause(SIDECAR_PUBLISH, failures);
      failures += 1;
    },
    isFailing: () => failures > 0,
  };
}
