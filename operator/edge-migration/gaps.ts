import type { GapStatus } from '@edge-migration/contract/edge-migration/api.ts';
import { TOLERATED_MS } from './clock-skew.ts';
import { conditionTrue, type DecidedCondition, formatTime, recordedCondition } from './conditions.ts';
import type { CoverageGapFact, Facts } from './facts.ts';

/** Appliers may follow a status that is this old (docs/design.md, "Convergence", rule 5). */
const APPLIER_STALE_MS = 10_000;
/** More gaps than this are joined, oldest first: joining can only enlarge a gap. */
const MOST_GAPS = 6;

/** Our own reasons; all others come from the sidecars' reports. */
export const OWN_REASONS = { reopened: 'windowReopened', disabled: 'captureDisabled', joined: 'several' } as const;
/** Concluded from silence: once the sidecar reports again, its own report says what it has missed. */
const CONCLUDED: readonly string[] = ['sidecarVanished', 'noSidecar'];

/** Milliseconds since the epoch; `until` is undefined while it lasts. */
type Gap = CoverageGapFact;

/**
 * The time ranges since the first page was read in which writes to Core may have been missed, as kept in the status:
 * the reports of them expire, sidecars go, and operators restart. A gap reported again is recognised by sidecar, reason
 * and time, because it may grow at both ends.
 *
 * @param start when the copy began to read; the pages have all earlier writes. Undefined: it has not begun
 * @param deadline of replay by this decision, RFC 3339
 * @param others that are not about capture
 */
export function collectGaps(
  facts: Facts,
  start: string | undefined,
  deadline: string | undefined,
  others: readonly CoverageGapFact[] = [],
): GapStatus[] {
  if (start === undefined) return [];
  const from = Date.parse(start);
  // Writes after the deadline are for Edge alone.
  const end = deadline === undefined ? Number.POSITIVE_INFINITY : Date.parse(deadline);
  const kept = (facts.migration.status.gaps ?? []).map(parseGap);
  const own = findOwn(facts, deadline);
  const gaps = [...carryOver(kept, facts), ...observe(facts), ...own, ...others]
    .filter((gap) => gap.from < end && endOf(gap) > from)
    .map((gap) => inSeconds({ ...gap, from: Math.max(gap.from, from) }))
    .toSorted(compare)
    .reduce(join, []);
  return limit(gaps).map(formatGap);
}

/** Whether `joined` includes this gap. */
export function takesIn(joined: GapStatus, gap: GapStatus): boolean {
  const [outer, inner] = [parseGap(joined), parseGap(gap)];
  return joined.reason === OWN_REASONS.joined && outer.from <= inner.from && endOf(outer) >= endOf(inner);
}

/** Says that there are gaps and what to do; undefined when there are none. */
export function describeGaps(gaps: readonly GapStatus[]): DecidedCondition<'True'> | undefined {
  const [first] = gaps;
  if (first === undefined) return undefined;
  const { from, until = 'now', reason, podName } = first;
  const where = podName === undefined ? reason : `${reason}, pod ${podName}`;
  const others = gaps.length > 1 ? `, and ${gaps.length - 1} more in status.gaps` : '';
  return conditionTrue(
    'CoverageGap',
    `writes to Core between ${from} and ${until} may be missing in Edge (${where}${others}): compare Core and Edge`,
  );
}

const observe = ({ capture }: Facts): Gap[] => (capture.kind === 'observed' ? capture.gaps : []);

/** A lasting gap that is no longer reported has ended by now, or has turned out to be none. */
function carryOver(kept: readonly Gap[], { capture, now }: Facts): Gap[] {
  if (capture.kind !== 'observed') return [...kept];
  return kept.flatMap((gap) => {
    if (gap.until !== undefined) return gap;
    // One that touches it, but ended before it began, is an earlier one.
    const reported = capture.gaps.filter((other) => isSame(gap, other) && endOf(other) > gap.from).map(endOf);
    const end = Math.max(...reported);
    if (reported.length > 0) return { ...gap, until: end === Number.POSITIVE_INFINITY ? undefined : end };
    if (CONCLUDED.includes(gap.reason) && gap.podName !== undefined && capture.speaking.includes(gap.podName))
      return [];
    return { ...gap, until: now };
  });
}

/** While the window was closed, or capture was switched off, appliers dropped the events. */
function findOwn({ migration, capture, now }: Facts, deadline: string | undefined): Gap[] {
  const { conditions, replay } = migration.status;
  const until = now + APPLIER_STALE_MS;
  const gaps: Gap[] = [];
  const past = replay?.deadline === undefined ? Number.POSITIVE_INFINITY : Date.parse(replay.deadline);
  if (past <= now && deadline !== undefined && Date.parse(deadline) > now) {
    gaps.push({ from: past, until, reason: OWN_REASONS.reopened, podName: undefined });
  }
  const capturing = recordedCondition(conditions, 'Capturing');
  if (capturing?.reason === 'Disabled' && capture.kind !== 'disabled') {
    // Without capture there is no clock of NATS: this is the operator's own of that time, which may have been ahead.
    const from = Date.parse(capturing.lastTransitionTime) - TOLERATED_MS;
    gaps.push({ from, until, reason: OWN_REASONS.disabled, podName: undefined });
  }
  return gaps;
}

/** The same sidecar and reason, without time in between: the status holds a report in whole seconds. */
function isSame(a: Gap, b: Gap): boolean {
  const touches = a.from <= endOf(b) + 1000 && b.from <= endOf(a) + 1000;
  return a.reason === b.reason && a.podName === b.podName && touches;
}

const endOf = ({ until = Number.POSITIVE_INFINITY }: Gap): number => until;

/** Oldest first, and joined gaps before all others, so that they include the same gaps again. */
function compare(a: Gap, b: Gap): number {
  const rank = ({ reason }: Gap) => (reason === OWN_REASONS.joined ? 0 : 1);
  const name = ({ reason, podName = '' }: Gap) => `${reason} ${podName}`;
  return rank(a) - rank(b) || a.from - b.from || name(a).localeCompare(name(b));
}

/** Adds a gap to the previous ones; merges it where it is the same gap. */
function join(gaps: Gap[], gap: Gap): Gap[] {
  const known = gaps.find((other) => isSame(other, gap));
  if (known === undefined) return [...gaps, gap];
  return gaps.map((other) => (other === known ? span(known, gap, gap.reason, gap.podName) : other));
}

function span(a: Gap, b: Gap, reason: string, podName: string | undefined): Gap {
  const until = a.until === undefined || b.until === undefined ? undefined : Math.max(a.until, b.until);
  return { from: Math.min(a.from, b.from), until, reason, podName };
}

function limit(gaps: readonly Gap[]): Gap[] {
  const limited = [...gaps];
  while (limited.length > MOST_GAPS) {
    const [first, second] = limited.splice(0, 2) as [Gap, Gap];
    limited.unshift(span(first, second, OWN_REASONS.joined, undefined));
  }
  return limited;
}

const parseGap = ({ from, until, reason, podName }: GapStatus): Gap => ({
  from: Date.parse(from),
  until: until === undefined ? undefined : Date.parse(until),
  reason,
  podName,
});

/**
 * As the status has it, and never less. Two gaps that begin in the same second are ordered and joined as before once
 * one of them has been in the status; otherwise each reconcile would change it.
 */
function inSeconds({ from, until, reason, podName }: Gap): Gap {
  return { from: floor(from), until: until === undefined ? undefined : floor(until + 999), reason, podName };
}

const floor = (time: number): number => Math.floor(time / 1000) * 1000;

function formatGap({ from, until, reason, podName }: Gap): GapStatus {
  return {
    from: formatTime(from),
    ...(until === undefined ? {} : { until: formatTime(until) }),
    reason,
    ...(podName === undefined ? {} : { podName }),
  };
}
