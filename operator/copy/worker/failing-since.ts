import type { Clock } from '@edge-migration/runtime/clock.ts';

export interface FailingSince {
  /** Something got through. */
  ended(): void;
  /** Nothing did. Throws what was in the way once patience has ended. */
  again(hindrance: unknown): void;
}

/** Pages that become too old one after the other, without one identity written, are a failure of the store. */
export function createFailingSince({
  clock,
  patienceMs,
}: {
  readonly clock: Clock;
  readonly patienceMs: number;
}): FailingSince {
  let since: number | undefined;
  let reason: unknown;
  return {
    ended() {
      since = undefined;
      reason = undefined;
    },
    again(hindrance) {
      since ??= clock.monotonic();
      // A page that was too old before anything was sent says nothing of what made those before it too old.
      const cause = hindrance instanceof Error && hindrance.cause instanceof Error ? hindrance.cause : undefined;
      reason = cause ?? reason ?? hindrance;
      if (clock.monotonic() - since >= patienceMs) throw reason;
    },
  };
}
