import type { EnvironmentReference } from '@edge-migration/identity/write-event.ts';

import type { CoverageGap, GapReason } from '../coverage/report.ts';

/** More gaps than this are joined, oldest first: a report stays small, and a joined gap only claims more. */
export const MAX_GAPS = 32;
/** More environments than this are "all". */
export const MAX_ENVIRONMENTS = 6;
/** Gaps of one reason closer than this are one gap. */
const JOIN_MILLIS = 60_000;

export interface GapLedger {
  /** A gap that lasts until {@link close}; naming the reason again widens it. @param from milliseconds since the epoch */
  open(reason: GapReason, from: number, environments?: readonly EnvironmentReference[]): void;
  /** Ends the open gap of this reason, if there is one. */
  close(reason: GapReason, until: number): void;
  /** A gap that is over already. */
  mark(reason: GapReason, from: number, until: number, environments?: readonly EnvironmentReference[]): void;
  /** Takes over what an earlier process noted down; its open gaps ended with it, at the latest by `now`. */
  restore(gaps: readonly CoverageGap[], now: number): void;
  list(): CoverageGap[];
}

interface Gap {
  reason: GapReason;
  from: number;
  /** The latest moment known to be missed: a clock that was set back must not end the gap before it. */
  latest: number;
  /** Infinity while it lasts. */
  until: number;
  /** By their JSON; null for all. */
  environments: Map<string, EnvironmentReference> | null;
}

/**
 * The time ranges in which writes may be missing. Every operation may only widen what is claimed.
 *
 * @param onChange told after every change; `urgent` when a gap began or ended, not when it only grew
 */
export function createGapLedger(onChange: (urgent: boolean) => void): GapLedger {
  const gaps: Gap[] = [];

  function add(gap: Gap): void {
    const neighbour = gaps.find(
      (other) =>
        other.reason === gap.reason && gap.from <= other.until + JOIN_MILLIS && other.from <= gap.until + JOIN_MILLIS,
    );
    if (neighbour === undefined) {
      gaps.push(gap);
      gaps.sort((a, b) => a.from - b.from);
      joinOldest(gaps);
      onChange(true);
    } else {
      const wasOpen = neighbour.until === Infinity;
      join(neighbour, gap);
      onChange(wasOpen !== (neighbour.until === Infinity));
    }
  }

  return {
    open(reason, from, environments) {
      add({ reason, from, latest: from, until: Infinity, environments: byJson(environments) });
    },
    close(reason, until) {
      const open = gaps.find((gap) => gap.reason === reason && gap.until === Infinity);
      if (open === undefined) return;
      open.until = Math.max(open.latest, until);
      onChange(true);
    },
    mark(reason, from, until, environments) {
      const end = Math.max(from, until);
      add({ reason, from, latest: end, until: end, environments: byJson(environments) });
    },
    restore(restored, now) {
      for (const gap of restored) {
        const from = Date.parse(gap.from);
        const until = Math.max(from, gap.until === null ? now : Date.parse(gap.until));
        add({ reason: gap.reason, from, latest: until, until, environments: byJson(gap.environments) });
      }
    },
    list: () => gaps.map(toReport),
  };
}

/** Open gaps are left alone, so that each can still be closed: there is at most one of each reason. */
function joinOldest(gaps: Gap[]): void {
  while (gaps.length > MAX_GAPS) {
    const [first, second] = gaps.filter((gap) => gap.until !== Infinity) as [Gap, Gap];
    join(first, second);
    gaps.splice(gaps.indexOf(second), 1);
  }
}

function join(into: Gap, other: Gap): void {
  into.from = Math.min(into.from, other.from);
  into.latest = Math.max(into.latest, other.latest);
  into.until = Math.max(into.until, other.until);
  if (into.environments === null || other.environments === null) into.environments = null;
  else {
    for (const [json, environment] of other.environments) into.environments.set(json, environment);
    if (into.environments.size > MAX_ENVIRONMENTS) into.environments = null;
  }
}

function byJson(environments: readonly EnvironmentReference[] | null | undefined): Gap['environments'] {
  const known = new Map((environments ?? []).map((environment) => [JSON.stringify(environment), environment]));
  return known.size === 0 || known.size > MAX_ENVIRONMENTS ? null : known;
}

function toReport(gap: Gap): CoverageGap {
  return {
    from: new Date(gap.from).toISOString(),
    until: gap.until === Infinity ? null : new Date(gap.until).toISOString(),
    reason: gap.reason,
    environments: gap.environments === null ? null : [...gap.environments.values()],
  };
}
