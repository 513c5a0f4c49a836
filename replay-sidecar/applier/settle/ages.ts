import { type Clock, leastSince, type Moment, momentOf } from '@edge-migration/runtime/clock.ts';

/** Minimum ages of a stream's messages, by the clocks of the process that checks at it. */
export interface Ages {
  /** @param lastSequence of the stream at a check a moment ago */
  notice(lastSequence: number): void;
  /** The last message that certainly has the given age; 0 where there is none. */
  lastOld(): number;
}

/**
 * The server's clock says when a message was stored, but its offset from ours is unknown. A message stored before this
 * process checked is at least as old as that check.
 *
 * @param milliseconds the age that matters
 */
export function createAges(clock: Pick<Clock, 'now' | 'monotonic'>, milliseconds: number): Ages {
  let checks: { readonly moment: Moment; readonly lastSequence: number }[] = [];
  /** Of all checks that old, the last one says the most. */
  function dropOld(): void {
    const old = checks.findLastIndex(({ moment }) => leastSince(clock, moment) >= milliseconds);
    if (old > 0) checks.splice(0, old);
  }

  return {
    notice(lastSequence) {
      // The stream begins again: earlier checks were at another one.
      if (lastSequence < (checks.at(-1)?.lastSequence ?? 0)) checks = [];
      if (lastSequence !== checks.at(-1)?.lastSequence) checks.push({ moment: momentOf(clock), lastSequence });
      dropOld();
    },
    lastOld() {
      dropOld();
      const [first] = checks;
      return first !== undefined && leastSince(clock, first.moment) >= milliseconds ? first.lastSequence : 0;
    },
  };
}
