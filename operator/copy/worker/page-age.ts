import type { SendDeadline } from '@edge-migration/identity/edge/table/table.ts';
import { type Clock, momentOf, mostSince } from '@edge-migration/runtime/clock.ts';

/**
 * How long a page that is about to be read may be written (docs/design.md, "Convergence", rule 4). Create it before
 * the read begins: the rows are as old as their snapshot, not as their arrival.
 *
 * Both clocks count, because each can fail alone: the monotonic one stops while the machine sleeps, and the wall clock
 * can be set back.
 */
export function startPageAge(clock: Clock, maxAgeMs: number): SendDeadline {
  const begun = momentOf(clock);
  return { left: () => maxAgeMs - mostSince(clock, begun) };
}
