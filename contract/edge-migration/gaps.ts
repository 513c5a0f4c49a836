import { MINUTE_MS } from '../parked-place.ts';
import type { GapStatus, Status } from './status.ts';

/**
 * Whether one of the gaps covers an event that arrived in a minute and began at `from` or later.
 *
 * @param came start of the minute, as `from` in milliseconds since the epoch
 */
export function coversMinute(gaps: Status['gaps'], { from, came }: { from: number; came: number }): boolean {
  const covers = (gap: GapStatus) =>
    Date.parse(gap.from) <= from && gap.until !== undefined && Date.parse(gap.until) >= came + MINUTE_MS;
  return gaps?.some(covers) ?? false;
}
