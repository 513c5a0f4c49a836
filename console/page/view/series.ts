import type { ProjectSummary, Sample } from '../client/types.ts';
import type { Point } from './chart.ts';

/** Maximum number of samples: an open page must not grow for weeks. */
const MOST_SAMPLES = 600;

export type Measure = 'identities_per_second' | 'identities_remaining' | 'lag_seconds';

/**
 * Adds an event's sample; of two of the same second the later one counts. If there are too many, the older half is
 * thinned.
 */
export function appendSample(samples: readonly Sample[], summary: ProjectSummary, time: string): readonly Sample[] {
  const { mode, identities_per_second, identities_remaining, lag_seconds } = summary;
  // A plan's reads are not part of the copy.
  if (mode === 'Plan') return samples;
  const last = samples.at(-1);
  if (last !== undefined && Date.parse(last.time) > Date.parse(time)) return samples;
  const kept = last !== undefined && secondOf(last.time) === secondOf(time) ? samples.slice(0, -1) : samples;
  const added = [...kept, { time, identities_per_second, identities_remaining, lag_seconds }];
  if (added.length <= MOST_SAMPLES) return added;
  const half = MOST_SAMPLES / 2;
  return added.filter((_, index) => index >= half || index % 2 === 0);
}

const secondOf = (time: string) => Math.floor(Date.parse(time) / 1000);

/** One measure over time, from its first to its last measurement. */
export function pointsOf(samples: readonly Sample[], measure: Measure): Point[] {
  const points = samples.map((sample) => ({ time: Date.parse(sample.time), value: sample[measure] }));
  const first = points.findIndex(({ value }) => value !== null);
  const last = points.findLastIndex(({ value }) => value !== null);
  return first < 0 ? [] : points.slice(first, last + 1);
}
