/** Pauses between attempts. */
export interface Backoff {
  readonly firstMs: number;
  readonly longestMs: number;
}

/**
 * The pause after a failed attempt, in milliseconds: doubled each time, with a random factor between a half and one, so
 * that clients that failed together do not retry together.
 *
 * @param attempt 0 after the first attempt
 */
export function choosePause(backoff: Backoff, attempt: number, random: () => number = Math.random): number {
  return doubled(backoff, attempt) * (0.5 + random() / 2);
}

/** The first pause, doubled `times` times, up to the longest. */
export function doubled({ firstMs, longestMs }: Backoff, times: number): number {
  return Math.min(longestMs, firstMs * 2 ** times);
}
