import type { EdgeStore } from './store.ts';

/** According to AWS, usually within a second. */
export const REPLICATION_LAG_SECONDS = 5;

/**
 * Delay after which a write on a global table with eventual consistency is checked again (docs/design.md,
 * "Convergence", rule 10). Until it has reached another region, clients may write there on the older document, and that
 * write takes as long to come back.
 */
export function recheckDelayMs({ replicationLagSeconds }: { readonly replicationLagSeconds: number }): number {
  return 2 * 1000 * replicationLagSeconds;
}

/** {@link recheckDelayMs} for these tables; undefined where a write is final. */
export function recheckDelayOf(
  edge: Pick<EdgeStore, 'guarantees'>,
  settings: { readonly replicationLagSeconds: number },
): number | undefined {
  return edge.guarantees().final ? undefined : recheckDelayMs(settings);
}
