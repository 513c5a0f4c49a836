/** The rate covers about the last ten seconds. */
const RATE_SECONDS = 10;

/** The recent rate in identities per second. Times are monotonic milliseconds. */
export function createRateMeter(startedAt: number) {
  let at = startedAt;
  let rate = 0;
  let elapsed = 0;
  return {
    add(identities: number, now: number) {
      const seconds = Math.max((now - at) / 1000, 1e-3);
      at = now;
      elapsed += seconds;
      // At first the average of everything; later, values older than the window fade.
      const weight = Math.max(seconds / elapsed, 1 - Math.exp(-seconds / RATE_SECONDS));
      rate += (identities / seconds - rate) * weight;
    },
    perSecond: () => rate,
  };
}
