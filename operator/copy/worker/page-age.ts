import type { SendDeadline } from '@edge-migration/identity/edge/table/table.ts';
import { type Clock, momentOf, mostSince } from '@edge-migration/runtime/clock.ts';

/**
 * How long a page that is about to be read may still be written (docs/design.md, "Convergence", rule 4). To be made
 * before the read begins: the rows are as old as their snapshot, not as their arrival.
 *
 * Both clocks count, because each can stand still without the other: the monotonic one while the machine sleeps, the
 * wall clock when somebody sets it back.
 */
export function startPageAge(clock: Clock, maxAgeMs: number): SendDeadline {
  const begun = momentOf(clock);
  return { left: () => maxAgeMs - mostSince(clock, begun) };
}
