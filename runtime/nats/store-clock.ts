import type { Clock } from '../clock.ts';

/**
 * One process's estimate of the clock with which NATS stamps stored messages. Ages and order of messages from several
 * machines are determined by this clock only, so that errors of their own clocks do not matter (docs/design.md,
 * "Time").
 */
export interface StoreClock {
  /**
   * Records the time in a response of the server (`ts`), upon its arrival.
   *
   * @param time RFC 3339; undefined (servers before 2.10) is ignored
   */
  notice(time: string | undefined): void;
  /** Milliseconds since the epoch, behind the server's clock rather than ahead of it; undefined until known. */
  now(): number | undefined;
}

/** A step of the server's clock is followed within twice this time; a monotonic clock drifts by less meanwhile. */
const GENERATION_MS = 5 * 60_000;

/**
 * A response takes time to arrive, so the lowest of several readings is the best one. It is also the safe one: when the
 * server's clock is set forward, nothing looks older than it is.
 */
export function createStoreClock(clock: Pick<Clock, 'monotonic'>): StoreClock {
  /** The offset to the monotonic clock, the lowest of this and of the last generation. */
  let offsets: { current: number; last: number; since: number } | undefined;
  return {
    notice(time) {
      const stamp = time === undefined ? Number.NaN : Date.parse(time);
      if (Number.isNaN(stamp)) return;
      const monotonic = clock.monotonic();
      const offset = stamp - monotonic;
      if (offsets === undefined) offsets = { current: offset, last: offset, since: monotonic };
      else if (monotonic - offsets.since > GENERATION_MS)
        offsets = { current: offset, last: offsets.current, since: monotonic };
      else offsets.current = Math.min(offsets.current, offset);
    },
    now: () => offsets && clock.monotonic() + Math.min(offsets.current, offsets.last),
  };
}
