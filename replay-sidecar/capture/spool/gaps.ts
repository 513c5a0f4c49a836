import { type CoverageGap, type GapReason, MOST_SCOPES } from '@edge-migration/contract/reports/coverage.ts';
import { scopeName, type WriteScope, writeScope } from '@edge-migration/contract/write-scope.ts';

/** More gaps than this are joined, oldest first: a report stays small, and a joined gap only claims more. */
export const MAX_GAPS = 32;
/** Limit of the names in all gaps together, as JSON; beyond it the gap that names most claims all. */
const MAX_SCOPE_BYTES = 20 * 1024;
/** Gaps of one reason closer than this are one gap. */
const JOIN_MS = 60_000;

export interface GapRecorder {
  /**
   * A gap that lasts until {@link close}; naming the reason again widens it.
   *
   * @param from milliseconds since the epoch
   * @param scope whose writes may be missing; all when omitted
   */
  open(reason: GapReason, from: number, scope?: readonly WriteScope[]): void;
  /** Ends the open gap of this reason, if there is one. */
  close(reason: GapReason, until: number): void;
  /** A gap that is over already. */
  mark(reason: GapReason, from: number, until: number, scope?: readonly WriteScope[]): void;
  /** Takes over an earlier process's notes; its open gaps ended with it, at the latest by `now`. */
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
  /** By name; null for all. */
  scope: Map<string, WriteScope> | null;
}

/**
 * The time ranges in which writes may be missing. Every operation may only widen what is claimed.
 *
 * @param onChange called after every change; `urgent` when a gap began or ended, not when it only grew
 */
export function createGapRecorder(onChange: (urgent: boolean) => void): GapRecorder {
  const gaps: Gap[] = [];

  function add(gap: Gap): void {
    const neighbour = gaps.find((other) => belongsTo(other, gap));
    if (neighbour === undefined) {
      gaps.push(gap);
      gaps.sort((a, b) => a.from - b.from);
      joinOldest(gaps);
      widen(gaps);
      onChange(true);
    } else {
      const before = { isOpen: neighbour.until === Infinity, scope: neighbour.scope?.size };
      join(neighbour, gap);
      const isWider = before.scope !== neighbour.scope?.size;
      if (isWider) widen(gaps);
      onChange(isWider || before.isOpen !== (neighbour.until === Infinity));
    }
  }

  return {
    open(reason, from, scope) {
      add({ reason, from, latest: from, until: Infinity, scope: byName(scope) });
    },
    close(reason, until) {
      const open = gaps.filter((gap) => gap.reason === reason && gap.until === Infinity);
      for (const gap of open) gap.until = Math.max(gap.latest, until);
      if (open.length > 0) onChange(true);
    },
    mark(reason, from, until, scope) {
      const end = Math.max(from, until);
      add({ reason, from, latest: end, until: end, scope: byName(scope) });
    },
    restore(restored, now) {
      for (const gap of restored) {
        const from = Date.parse(gap.from);
        const until = Math.max(from, gap.until === null ? now : Date.parse(gap.until));
        add({ reason: gap.reason, from, latest: until, until, scope: byName(gap.scope) });
      }
    },
    list: () => gaps.map(toReport),
  };
}

/**
 * A gap that is over and claims all does not absorb those that name a scope: it would claim all for as long as they go
 * on.
 */
function belongsTo(known: Gap, gap: Gap): boolean {
  const claimsAllNow = known.scope === null && known.until === Infinity;
  return (
    known.reason === gap.reason &&
    (claimsAllNow || (known.scope === null) === (gap.scope === null)) &&
    gap.from <= known.until + JOIN_MS &&
    known.from <= gap.until + JOIN_MS
  );
}

/** Open gaps are left alone, so that each can still be closed: there are at most two of each reason. */
function joinOldest(gaps: Gap[]): void {
  while (gaps.length > MAX_GAPS) {
    const closed = gaps.filter((gap) => gap.until !== Infinity);
    const named = closed.filter((gap) => gap.scope !== null);
    const unnamed = closed.filter((gap) => gap.scope === null);
    const [first, second] = (named.length > unnamed.length ? named : unnamed) as [Gap, Gap];
    join(first, second);
    gaps.splice(gaps.indexOf(second), 1);
  }
}

/** The names in the gaps must fit a report and the spool's state, so the one that names most claims all. */
function widen(gaps: readonly Gap[]): void {
  for (const gap of gaps) if ((gap.scope?.size ?? 0) > MOST_SCOPES) gap.scope = null;
  const sizes = gaps.map((gap) => ({ gap, bytes: scopeBytes(gap) })).sort((a, b) => b.bytes - a.bytes);
  let total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
  for (const { gap, bytes } of sizes) {
    if (total <= MAX_SCOPE_BYTES) return;
    gap.scope = null;
    total -= bytes;
  }
}

function scopeBytes({ scope }: Gap): number {
  return scope === null ? 0 : Buffer.byteLength(JSON.stringify([...scope.values()]));
}

function join(into: Gap, other: Gap): void {
  into.from = Math.min(into.from, other.from);
  into.latest = Math.max(into.latest, other.latest);
  into.until = Math.max(into.until, other.until);
  if (into.scope === null || other.scope === null) into.scope = null;
  else for (const [name, scope] of other.scope) into.scope.set(name, scope);
}

/** A scope that readers of the report would refuse cannot be named. */
function byName(scope: readonly WriteScope[] | null | undefined): Gap['scope'] {
  if (scope == null || scope.length === 0 || !scope.every((one) => writeScope.safeParse(one).success)) return null;
  // A copy: a substring in V8 keeps the whole string alive, here the head of a request.
  return new Map(structuredClone(scope).map((one) => [scopeName(one), one]));
}

function toReport(gap: Gap): CoverageGap {
  return {
    from: new Date(gap.from).toISOString(),
    until: gap.until === Infinity ? null : new Date(gap.until).toISOString(),
    reason: gap.reason,
    scope: gap.scope === null ? null : [...gap.scope.values()],
  };
}
