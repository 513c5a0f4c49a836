import type { Convergence, Fence, Stores, Subject } from '@edge-migration/identity/converge.ts';
import { findAllOfCore, joinTouched, type Touched } from '@edge-migration/identity/edge/merge.ts';
import { convergeShared } from '@edge-migration/identity/shared-stores.ts';

export interface Applied {
  readonly convergence: Convergence;
  /**
   * Per event: Core lacks what it touched, and the copy may still hold a page that has it; so it is to be handled again
   * when the copy is complete (docs/design.md, "Convergence", rule 3).
   */
  readonly held: readonly boolean[];
}

/**
 * Makes one document agree with Core in everything that several events touched.
 *
 * @param copying whether the copy may still write
 * @throws as {@link converge}
 */
export async function applyEvents(
  stores: Stores,
  subject: Subject,
  events: readonly Touched[],
  copying: boolean,
  signal: AbortSignal,
  fence?: Fence,
): Promise<Applied> {
  const convergence = await convergeShared(
    stores,
    subject,
    events.length === 1 && events[0] ? events[0] : joinTouched(events),
    signal,
    fence,
  );
  if (!copying) return { convergence, held: events.map(() => false) };
  const present = convergence.core && findAllOfCore(convergence.core);
  return { convergence, held: events.map((touched) => present === undefined || lacks(present, touched)) };
}

function lacks(present: Touched, touched: Touched): boolean {
  return (
    lacksAny(present.traits, touched.removable ?? touched.traits) || lacksAny(present.overrides, touched.overrides)
  );
}

/** Some of `all` may be gone. */
function lacksAny(present: Touched['traits'], touched: Touched['traits']): boolean {
  return touched === 'all' || [...touched].some((key) => present !== 'all' && !present.has(key));
}
