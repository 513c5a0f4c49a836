/** How long to wait between tries. */
export interface Backoff {
  readonly firstMilliseconds: number;
  readonly longestMilliseconds: number;
}

/**
 * The pause after a try that failed, in milliseconds: twice as long each time, and anything from half of it to all of
 * it, so that those who failed together do not come back together.
 *
 * @param attempt 0 after the first try
 */
export function choosePause({ firstMilliseconds, longestMilliseconds }: Backoff, attempt: number): number {
  return Math.min(longestMilliseconds, firstMilliseconds * 2 ** attempt) * (0.5 + Math.random() / 2);
}
