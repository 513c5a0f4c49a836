import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { ProjectSummary, Sample } from './schemas.ts';

/** Measurements of a project over time, for charts: bounded, and coarser the longer they continue. */
export interface Series {
  note(key: string, summary: ProjectSummary): void;
  forget(key: string): void;
  of(key: string): Sample[];
}

interface Recording {
  readonly samples: Sample[];
  /** Minimum distance between samples. */
  intervalMs: number;
  at: number;
}

const FIRST_INTERVAL_MS = 5_000;
const MOST_SAMPLES = 120;

export function createSeries(clock: Pick<Clock, 'now' | 'monotonic'>, mostSamples = MOST_SAMPLES): Series {
  const recordings = new Map<string, Recording>();

  return {
    note(key, { mode, identities_per_second, identities_remaining, lag_seconds }) {
      // A plan's reads are not part of the copy.
      if (mode === 'Plan') return;
      if (identities_per_second === null && identities_remaining === null && lag_seconds === null) return;
      const now = clock.monotonic();
      const known = recordings.get(key);
      const recording = known ?? { samples: [], intervalMs: FIRST_INTERVAL_MS, at: now };
      if (known !== undefined && now - known.at < known.intervalMs) return;
      recording.at = now;
      const time = new Date(clock.now()).toISOString();
      recording.samples.push({ time, identities_per_second, identities_remaining, lag_seconds });
      if (recording.samples.length > mostSamples) thin(recording);
      recordings.set(key, recording);
    },
    forget: (key) => void recordings.delete(key),
    of: (key) => [...(recordings.get(key)?.samples ?? [])],
  };
}

/** Removes every second sample and halves the sampling rate; the latest stays. */
function thin(recording: Recording) {
  const { samples } = recording;
  const kept = samples.filter((_, index) => (samples.length - 1 - index) % 2 === 0);
  samples.splice(0, samples.length, ...kept);
  recording.intervalMs *= 2;
}
