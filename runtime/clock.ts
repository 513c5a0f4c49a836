/** The source of time of every part that waits, so that tests can run four weeks in seconds. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds that never go backwards; only for measuring durations. */
  monotonic(): number;
  /** Resolves after `milliseconds`, at once if they are negative; rejects with the signal's reason if it is aborted first. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

/** `setTimeout` fires at once beyond 2^31-1 ms (24.8 days), so longer waits are cut into pieces. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  async sleep(milliseconds, signal) {
    // What is left of a time that was measured a moment ago may have passed.
    let left = Math.max(milliseconds, 0);
    do {
      const piece = Math.min(left, LONGEST_TIMEOUT_MS);
      await timeout(piece, signal);
      left -= piece;
    } while (left > 0);
  },
};

function timeout(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, milliseconds);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** A moment by both clocks of a process: each can be wrong about how long ago it was, but rarely both. */
export interface Moment {
  readonly wall: number;
  readonly monotonic: number;
}

export const momentOf = (clock: Pick<Clock, 'now' | 'monotonic'>): Moment => ({
  wall: clock.now(),
  monotonic: clock.monotonic(),
});

/**
 * Milliseconds that have certainly passed since a moment: a wall clock that is set forward by 45 s is no wait of 45 s.
 * One that is behind the moment proves nothing. Use it for a minimum wait.
 */
export function leastSince(clock: Pick<Clock, 'now' | 'monotonic'>, moment: Moment): number {
  const wall = clock.now() - moment.wall;
  const monotonic = clock.monotonic() - moment.monotonic;
  return wall < 0 ? monotonic : Math.min(wall, monotonic);
}

/**
 * Milliseconds that may have passed since a moment: a monotonic clock stops while the machine sleeps, a wall clock may
 * be set back. Use it for a maximum time.
 */
export function mostSince(clock: Pick<Clock, 'now' | 'monotonic'>, { wall, monotonic }: Moment): number {
  return Math.max(clock.now() - wall, clock.monotonic() - monotonic);
}
