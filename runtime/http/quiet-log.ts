import type { Clock } from '../clock.ts';

/** Strangers can send any number of requests, and must not fill the log. */
const EVERY_MS = 10_000;

/**
 * Decides whether a rejected request is logged: at most one of each kind every ten seconds.
 *
 * @returns how many of its kind were omitted since the last one; undefined if it is omitted itself
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
