import type { CoreChanges } from './changes.ts';
import type { Violation } from './judgement.ts';

/** A time for which the product itself said that it may have missed writes. */
export interface ReportedGap {
  readonly from: string;
  /** Undefined or null while it lasts. */
  readonly until?: string | null | undefined;
  readonly reason: string;
}

/** Rows change after the request has begun, by which gaps go: as long as a client waits, and a task after it. */
const LONGEST_WRITE_MS = 30_000;
const PRECISION_MS = 1_000;

/** What an Edge client wrote, or what is another project's, no gap excuses. */
const EXCUSABLE: ReadonlySet<Violation['kind']> = new Set(['missing', 'differs', 'left over', 'override rows']);

/** A difference, and the gap in which Core changed what differs. */
export interface Excused {
  readonly violation: Violation;
  readonly gap: ReportedGap;
  /** Of that change in Core, milliseconds since the epoch. */
  readonly time: number;
}

/** The first gap during which Core changed what differs: the product said that it may be missing that write. */
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

/** What Edge clients wrote, and another region's later write may have taken the place of. */
const OVERTAKABLE: ReadonlySet<Violation['kind']> = new Set(['edge-born lost', 'edge write lost']);

/**
 * Whether an Edge client's write is gone because another region, which did not have it yet, wrote the document later
 * (docs/limits.md, "Several regions").
 */
export function isOvertaken({ kind, key }: Violation, losses: ReadonlyMap<string, unknown>): boolean {
  return OVERTAKABLE.has(kind) && losses.has(key);
}
