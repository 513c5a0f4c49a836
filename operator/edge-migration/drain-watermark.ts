/** A sample at one time. */
export interface TakenSample {
  /** Every sidecar had sent all that it saw before this, epoch milliseconds; undefined when one does not report it. */
  readonly sentUntil: number | undefined;
  /** Read after that: the oldest event's sequence; the one after the last when there is no event. */
  readonly firstSequence: number;
  /** The last sequence that the stream has assigned. */
  readonly lastSequence: number;
}

/** Repeats wait for ten minutes, and a sample is taken every two seconds. */
const MOST_SAMPLES = 600;

/**
 * Determines until when all observed events have been taken from the stream. What sidecars had sent at some time has a
 * sequence by then; once the stream begins after it, all of it was acknowledged. Sequences count, not times: the clocks
 * of sidecars, NATS and operator differ, and an event may enter the stream long after it was observed.
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
      // Another stream, or one restored from a backup.
      if (lastSequence < last) samples = [];
      last = lastSequence;
      // A sidecar was unknown until now: it may hold what all others had sent by then.
      if (sentUntil !== undefined) withdraw(sentUntil);
      // The oldest are kept: they are passed next, however long that takes.
      if (sentUntil !== undefined && samples.length < MOST_SAMPLES) samples.push({ sentUntil, lastSequence });
      const isTaken = (sample: { lastSequence: number }) => sample.lastSequence < firstSequence;
      for (const sample of samples) if (isTaken(sample)) until = Math.max(until ?? 0, sample.sentUntil);
      samples = samples.filter((sample) => !isTaken(sample));
    },
    until: () => until,
  };
}
