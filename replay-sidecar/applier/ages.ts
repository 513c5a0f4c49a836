import { type Clock, leastSince, type Moment, momentOf } from '@edge-migration/identity/clock.ts';

/** How old the messages of a stream are at least, by the clocks of the process that looks at it. */
export interface Ages {
  /** @param lastSequence of the stream as it was when it was looked at a moment ago */
  notice(lastSequence: number): void;
  /** The last message that is certainly so old; 0 where there is none. */
  lastBefore(milliseconds: number): number;
}

/**
 * The server's clock says when a message was stored, and nobody knows how far it is from ours. What had been stored when
 * this process looked is at least as old as that look.
 */
export function createAges(clock: Pick<Clock, 'now' | 'monotonic'>): Ages {
  let looks: { readonly moment: Moment; readonly lastSequence: number }[] = [];
  return {
    notice(lastSequence) {
      // The stream begins again: what was seen was another one's.
      if (lastSequence < (looks.at(-1)?.lastSequence ?? 0)) looks = [];
      if (lastSequence !== looks.at(-1)?.lastSequence) looks.push({ moment: momentOf(clock), lastSequence });
    },
    lastBefore(milliseconds) {
      const old = looks.findLastIndex(({ moment }) => leastSince(clock, moment) >= milliseconds);
      if (old > 0) looks.splice(0, old);
      return old < 0 ? 0 : (looks[0]?.lastSequence ?? 0);
    },
  };
}
