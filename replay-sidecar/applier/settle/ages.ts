import { type Clock, leastSince, type Moment, momentOf } from '@edge-migration/runtime/clock.ts';

/** Minimum ages of a stream's messages, by the clocks of the process that looks at it. */
export interface Ages {
  /** @param lastSequence of the stream at a look a moment ago */
  notice(lastSequence: number): void;
  /** The last message that certainly has the given age; 0 where there is none. */
  lastOld(): number;
}

/**
 * The server's clock says when a message was stored, but its offset from ours is unknown. A message stored before this
 * process looked is at least as old as that look.
 *
 * @param milliseconds the age that matters
 */
export function createAges(clock: Pick<Clock, 'now' | 'monotonic'>, milliseconds: number): Ages {
  let looks: { readonly moment: Moment; readonly lastSequence: number }[] = [];
  /** Of all looks that old, the last one says the most. */
  function dropOld(): void {
    const old = looks.findLastIndex(({ moment }) => leastSince(clock, moment) >= milliseconds);
    if (old > 0) looks.splice(0, old);
  }

  return {
    notice(lastSequence) {
      // The stream begins again: earlier looks were at another one.
      if (lastSequence < (looks.at(-1)?.lastSequence ?? 0)) looks = [];
      if (lastSequence !== looks.at(-1)?.lastSequence) looks.push({ moment: momentOf(clock), lastSequence });
      dropOld();
    },
    lastOld() {
      dropOld();
      const [first] = looks;
      return first !== undefined && leastSince(clock, first.moment) >= milliseconds ? first.lastSequence : 0;
    },
  };
}
