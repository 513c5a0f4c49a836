/** AWS: usually within a second. */
export const REPLICATION_LAG_SECONDS = 5;

/**
 * After so long a write on a global table with eventual consistency is looked at again (docs/design.md, "Convergence", rule
 * 10). Until it has arrived in another region, clients may write there on the older document, and that takes as long to come
 * back.
 */
export function lookAfterMs({ replicationLagSeconds }: { readonly replicationLagSeconds: number }): number {
  return 2 * 1000 * replicationLagSeconds;
}
