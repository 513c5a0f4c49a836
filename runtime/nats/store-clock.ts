import type { Clock } from '../clock.ts';

/**
 * The clock by which NATS stamps what it stores, as one process knows it. Ages and orders of what comes from several
 * machines are told by this clock alone, so that it does not matter how wrong theirs are (docs/design.md, "Time").
 */
export interface StoreClock {
  /**
   * Notes the time in an answer of the server (`ts`), once the answer is here.
   *
   * @param time RFC 3339; undefined (servers before 2.10) is not noted
   */
  notice(time: string | undefined): void;
  /** Milliseconds since the epoch, behind the server's clock rather than ahead of it; undefined until it is known. */
  now(): number | undefined;
}

/** A step of the server's clock is followed within twice this time; a monotonic clock drifts by less meanwhile. */
const GENERATION_MS = 5 * 60_000;

/**
 * An answer takes time to come, so that of several readings the lowest is the best one. It also is the safe one: when
 * the server's clock is set forward, nothing looks older than it is.
 */
export function createStoreClock(clock: Pick<Clock, 'monotonic'>): StoreClock {
  /** What is to be added to the monotonic clock, the lowest of this and of the last generation. */
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
