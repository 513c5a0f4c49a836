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
