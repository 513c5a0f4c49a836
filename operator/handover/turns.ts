import type { Clock } from '@edge-migration/runtime/clock.ts';

/** Each hand-over is a process as large as one of the Core API, with its own connections to Core's database. */
const MOST_AT_ONCE = 4;
/** Interval of checks if only one waits. */
const SHORTEST_MS = 10_000;
/** Interval of checks of all that wait together. */
const EACH_MS = 50;

/** Ensures that few hand-overs run at once, even if thousands of projects request theirs at the same time. */
export interface Turns {
  /** Records the state of a hand-over; undefined if it neither runs nor waits. */
  note(name: string, place: 'running' | 'queued' | undefined): void;
  /** It is no longer needed; while it may run it keeps its turn. */
  forget(name: string): void;
  /** Whether another one may start. */
  hasRoom(): boolean;
  /** Whether it has been running, or waiting, for longer than its limit. */
  isOverdue(name: string): boolean;
  /** Milliseconds after which a waiting one must be checked again. */
  pauseMs(): number;
}

/** @param longestMs one that runs for longer no longer takes a turn or holds up others */
export function createTurns(clock: Pick<Clock, 'monotonic'>, longestMs: number): Turns {
  const noted = new Map<string, { place: 'running' | 'queued'; since: number; isForgotten?: boolean }>();
  const isLate = ({ since }: { since: number }) => clock.monotonic() - since > longestMs;

  const count = (place: 'running' | 'queued') =>
    [...noted.values()].filter((one) => one.place === place && !isLate(one)).length;

  return {
    note(name, place) {
      if (place === undefined) noted.delete(name);
      else if (noted.get(name)?.place !== place) noted.set(name, { place, since: clock.monotonic() });
    },
    forget(name) {
      for (const [other, one] of noted) if (one.isForgotten && isLate(one)) noted.delete(other);
      const known = noted.get(name);
      if (known?.place === 'running') known.isForgotten = true;
      else noted.delete(name);
    },
    hasRoom: () => count('running') < MOST_AT_ONCE,
    isOverdue(name) {
      const known = noted.get(name);
      return known !== undefined && isLate(known);
    },
    pauseMs: () => Math.max(SHORTEST_MS, EACH_MS * count('queued')),
  };
}
