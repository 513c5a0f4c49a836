/** What was known at one time. */
export interface TakenSample {
  /** Every sidecar had sent all that it saw before this, in milliseconds since the epoch; undefined when one cannot tell. */
  readonly sentUntil: number | undefined;
  /** Looked at after that: of the oldest event in the stream; the one behind the last when there is none. */
  readonly firstSequence: number;
  /** The last that the stream has given. */
  readonly lastSequence: number;
}

/** Repeats wait for ten minutes, and there is a sample every two seconds. */
const MOST_SAMPLES = 600;

/**
 * Follows up to when everything that was observed has been taken from the stream. What sidecars had sent at some time
 * has a sequence by then; once the stream begins behind it, all of it was acknowledged. Sequences tell, not times: the
 * clocks of sidecars, NATS and operator differ, and an event may come into the stream long after it was observed.
 */
export function createTakenTracker() {
  let samples: { sentUntil: number; lastSequence: number }[] = [];
  let last = 0;
  let until: number | undefined;

  function withdraw(sentUntil: number) {
    samples = samples.map((sample) => ({ ...sample, sentUntil: Math.min(sample.sentUntil, sentUntil) }));
    if (until !== undefined) until = Math.min(until, sentUntil);
  }

  return {
    notice({ sentUntil, firstSequence, lastSequence }: TakenSample): void {
      // Another stream, or the same from a backup.
      if (lastSequence < last) samples = [];
      last = lastSequence;
      // A sidecar is there that was not known of: it may hold what all others had sent by then.
      if (sentUntil !== undefined) withdraw(sentUntil);
      // The oldest are kept: they are the next to be passed, however long that takes.
      if (sentUntil !== undefined && samples.length < MOST_SAMPLES) samples.push({ sentUntil, lastSequence });
      const isTaken = (sample: { lastSequence: number }) => sample.lastSequence < firstSequence;
      for (const sample of samples) if (isTaken(sample)) until = Math.max(until ?? 0, sample.sentUntil);
      samples = samples.filter((sample) => !isTaken(sample));
    },
    until: () => until,
  };
}
