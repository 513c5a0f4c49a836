import type { Clock } from '../clock.ts';

/** Strangers can send any number of requests, and must not fill the log. */
const EVERY_MS = 10_000;

/**
 * Says of a request that is refused whether it is to be logged: of each kind one every ten seconds at most.
 *
 * @returns how many of its kind were left out since the last one; undefined where it is left out itself
 */
export function createQuietLog(clock: Pick<Clock, 'monotonic'>): (kind: string) => { silent: number } | undefined {
  const logged = new Map<string, { at: number; silent: number }>();

  return (kind) => {
    const last = logged.get(kind);
    if (last !== undefined && clock.monotonic() - last.at < EVERY_MS) {
      last.silent += 1;
      return undefined;
    }
    logged.set(kind, { at: clock.monotonic(), silent: 0 });
    return { silent: last?.silent ?? 0 };
  };
}
