import { GROUP } from '@edge-migration/contract/edge-migration/api.ts';
import type { LeaseBefore } from '@edge-migration/kubernetes/lease.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';

/** A time range, in epoch milliseconds. */
export interface Interval {
  from: number;
  until: number;
}

/**
 * When no operator watched the Core API's pods. A pod without a sidecar that came and went in such a time went unseen,
 * so the time itself is a gap. It is written into the Lease by the write that begins a term: a leader that dies before
 * it has reported it in every status leaves it to the next one.
 */
export interface WatchHistory {
  /** Available while this process leads; nothing before. */
  unwatched(): readonly Interval[];
  /** The pods are listed for the first time, and watched from now on. */
  begin(): void;
  /** They were listed again after a time, in milliseconds until now, that no watch covered. */
  noteBlind(milliseconds: number): void;
  /** For the leader election. */
  annotate(before: LeaseBefore): Record<string, string>;
}

/** In a shorter time no pod of the Core API starts, takes requests and disappears. */
const SHORTEST_MS = 30_000;
/** An annotation has no room for more; the two closest ones are joined, which can only claim more. */
const MOST_INTERVALS = 20;
const ANNOTATION = `${GROUP}/not-watched`;

/** @param neededSince intervals that ended before this are forgotten; undefined while that is not known */
export function createWatchHistory(clock: Clock, neededSince: () => number | undefined): WatchHistory {
  let known: readonly Interval[] = [];
  /** Since when this process watches without a break, in monotonic milliseconds. */
  let watchedSince: number | undefined;
  let leads = false;
  /** When the previous leader was last present, while nothing is known of the time until this process watched. */
  let absentFrom: number | undefined;

  const timeOf = (monotonic: number) => clock.now() - (clock.monotonic() - monotonic);

  function beginTerm({ annotations, renewedTime = 0, seenRenewedAfter }: LeaseBefore) {
    const overlaps = watchedSince !== undefined && seenRenewedAfter >= watchedSince;
    known = parse(annotations[ANNOTATION], clock.now());
    absentFrom = overlaps ? undefined : renewedTime;
    leads = true;
  }

  function current(): readonly Interval[] {
    if (absentFrom === undefined) return known;
    const until = watchedSince === undefined ? clock.now() : timeOf(watchedSince);
    return add(known, { from: absentFrom, until });
  }

  return {
    unwatched: () => (leads ? current() : []),
    begin() {
      watchedSince ??= clock.monotonic();
    },
    noteBlind(milliseconds) {
      known = add(current(), { from: clock.now() - milliseconds, until: clock.now() });
      absentFrom = undefined;
      watchedSince = clock.monotonic();
    },
    annotate(before) {
      if (!before.isRenewal) beginTerm(before);
      const since = neededSince() ?? Number.NEGATIVE_INFINITY;
      known = known.filter(({ until }) => until >= since);
      const intervals = current();
      return intervals.length === 0 ? {} : { [ANNOTATION]: intervals.map(format).join(' ') };
    },
  };
}

function add(intervals: readonly Interval[], interval: Interval): readonly Interval[] {
  if (interval.until - interval.from < SHORTEST_MS) return intervals;
  const all = [...intervals, interval].toSorted((a, b) => a.from - b.from);
  while (all.length > MOST_INTERVALS) {
    const index = findNarrowest(all);
    const [first, second] = all.slice(index, index + 2) as [Interval, Interval];
    all.splice(index, 2, { from: first.from, until: Math.max(first.until, second.until) });
  }
  return all;
}

/** Of ordered intervals, the index of the one with the shortest pause after it. */
function findNarrowest(intervals: readonly Interval[]): number {
  const between = intervals.slice(1).map(({ from }, index) => from - intervals[index]!.until);
  return between.indexOf(Math.min(...between));
}

const format = ({ from, until }: Interval) => `${new Date(from).toISOString()}/${new Date(until).toISOString()}`;

/** Damaged text may have said anything. */
function parse(text: string | undefined, now: number): readonly Interval[] {
  if (text === undefined) return [];
  const intervals = text.split(' ').map((part) => {
    const [from = Number.NaN, until = Number.NaN] = part.split('/').map(Date.parse);
    return { from, until };
  });
  const isDamaged = intervals.some(({ from, until }) => Number.isNaN(from) || Number.isNaN(until));
  return isDamaged ? [{ from: 0, until: now }] : intervals;
}
