/** How long to wait between tries. */
export interface Backoff {
  readonly firstMs: number;
  readonly longestMs: number;
}

/**
 * The pause after a try that failed, in milliseconds: twice as long each time, and anything from half of it to all of
 * it, so that those who failed together do not come back together.
 *
 * @param attempt 0 after the first try
 */
export function choosePause(backoff: Backoff, attempt: number, random: () => number = Math.random): number {
  return doubled(backoff, attempt) * (0.5 + random() / 2);
}

/** The first pause, doubled `times` times, up to the longest. */
export function doubled({ firstMs, longestMs }: Backoff, times: number): number {
  return Math.min(longestMs, firstMs * 2 ** times);
}
