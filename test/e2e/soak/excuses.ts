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
const LONGEST_WRITE_MILLIS = 30_000;
const PRECISION_MILLIS = 1_000;

/** What an Edge client wrote, or what is another project's, no gap excuses. */
const EXCUSABLE: ReadonlySet<Violation['kind']> = new Set(['missing', 'differs', 'left over', 'override rows']);

/** Whether Core changed what differs while the product said that it may be missing writes. */
export function isExcused(
  { kind, key }: Pick<Violation, 'kind' | 'key'>,
  gaps: readonly ReportedGap[],
  changes: CoreChanges,
): boolean {
  if (!EXCUSABLE.has(kind) || gaps.length === 0) return false;
  const times = changes.timesOf(key);
  return gaps.some(({ from, until }) => {
    const begin = Date.parse(from) - PRECISION_MILLIS;
    const end = until ? Date.parse(until) + LONGEST_WRITE_MILLIS : Number.POSITIVE_INFINITY;
    return times.some((time) => time >= begin && time <= end);
  });
}
