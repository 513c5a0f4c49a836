import type { CoreChanges } from './changes.ts';
import type { Violation } from './judgement.ts';

/** A time for which the product itself reported that it may have missed writes. */
export interface ReportedGap {
  readonly from: string;
  /** Undefined or null while it lasts. */
  readonly until?: string | null | undefined;
  readonly reason: string;
}

/** Rows change after the start of the request, which defines gaps: up to a client's timeout, and a task after it. */
const LONGEST_WRITE_MS = 30_000;
const PRECISION_MS = 1_000;

/** No gap excuses a loss of an Edge client's write or a change in another project. */
const EXCUSABLE: ReadonlySet<Violation['kind']> = new Set(['missing', 'differs', 'left over', 'override rows']);

/** A difference, and the gap in which Core changed what differs. */
export interface Excused {
  readonly violation: Violation;
  readonly gap: ReportedGap;
  /** Time of that change in Core, milliseconds since the epoch. */
  readonly time: number;
}

/** The first gap during which Core changed the differing data: the product reported that it may lack that write. */
export function findExcuse(
  violation: Violation,
  gaps: readonly ReportedGap[],
  changes: CoreChanges,
): Excused | undefined {
  if (!EXCUSABLE.has(violation.kind) || gaps.length === 0) return undefined;
  const times = changes.timesOf(violation.key);
  for (const gap of gaps) {
    const begin = Date.parse(gap.from) - PRECISION_MS;
    const end = gap.until ? Date.parse(gap.until) + LONGEST_WRITE_MS : Number.POSITIVE_INFINITY;
    const time = times.find((each) => each >= begin && each <= end);
    if (time !== undefined) return { violation, gap, time };
  }
  return undefined;
}

/**
 * Edge clients' writes, which another region's later write may have replaced; rows that the product made of them stay.
 */
const OVERTAKABLE: ReadonlySet<Violation['kind']> = new Set(['edge-born lost', 'edge write lost', 'edge row left']);

/**
 * Whether an Edge client's write is gone because another region, which did not have it yet, wrote the document later
 * (docs/limits.md, "Several regions").
 */
export function isOvertaken({ kind, key }: Violation, losses: ReadonlyMap<string, unknown>): boolean {
  return OVERTAKABLE.has(kind) && losses.has(key);
}
