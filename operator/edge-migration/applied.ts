/** What sidecars and appliers said at one time; milliseconds since the epoch. */
export interface AppliedSample {
  /** Every live sidecar has sent all that it saw before this; undefined when one of them cannot tell. */
  readonly sentUntil: number | undefined;
  /** When that was known. */
  readonly time: number;
  /** When the oldest event that is not done with came into the stream; undefined when all are. */
  readonly oldestTime: number | undefined;
  /** When the stream's position was looked at. */
  readonly positionTime: number | undefined;
}

/** Repeats wait for ten minutes at most, and there is a sample every two seconds. */
const MOST_SAMPLES = 600;

/**
 * Follows up to when everything that was observed is in Edge. What sidecars had sent at some time is in the stream by
 * then; once nothing from before that time is left in the stream, it is applied. Events are never in order, so what was
 * sent is remembered until the stream's position has passed it.
 */
export function createAppliedTracker() {
  let samples: { sentUntil: number; time: number }[] = [];
  let until: number | undefined;
  return {
    notice({ sentUntil, time, oldestTime, positionTime }: AppliedSample): void {
      if (sentUntil !== undefined) samples = [...samples, { sentUntil, time }].slice(-MOST_SAMPLES);
      const passed = Math.min(positionTime ?? Number.NEGATIVE_INFINITY, oldestTime ?? Number.POSITIVE_INFINITY);
      for (const sample of samples) if (sample.time < passed) until = Math.max(until ?? 0, sample.sentUntil);
      samples = samples.filter((sample) => sample.time >= passed);
    },
    until: () => until,
  };
}
