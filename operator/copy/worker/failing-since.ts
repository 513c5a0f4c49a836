import type { Clock } from '@edge-migration/runtime/clock.ts';

export interface FailingSince {
  /** A write succeeded. */
  ended(): void;
  /** No write did. Throws the obstacle once the retry budget is spent. */
  again(hindrance: unknown): void;
}

/** Successive pages that become too old without a single identity written are a failure of the store. */
export function createFailingSince({
  clock,
  retryBudgetMs,
}: {
  readonly clock: Clock;
  readonly retryBudgetMs: number;
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
      // A page that was too old before anything was sent does not explain why earlier ones became too old.
      const cause = hindrance instanceof Error && hindrance.cause instanceof Error ? hindrance.cause : undefined;
      reason = cause ?? reason ?? hindrance;
      if (clock.monotonic() - since >= retryBudgetMs) throw reason;
    },
  };
}
