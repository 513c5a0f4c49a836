import { probeHttp } from '../../cluster/probe.ts';

type Buckets = readonly { readonly below: number; readonly count: number }[];

/** Events by lag in seconds, cumulative, ascending. */
export async function lagBuckets(url: string, project: number): Promise<Buckets> {
  const { body } = await probeHttp(`${url}/metrics`);
  const pattern = new RegExp(
    `^edge_migration_applier_lag_seconds_bucket\\{le="([^"]+)",project="${project}"\\} (\\d+)`,
    'gm',
  );
  return [...body.matchAll(pattern)].map(([, below, count]) => ({
    below: below === '+Inf' ? Number.POSITIVE_INFINITY : Number(below),
    count: Number(count),
  }));
}

/** Milliseconds, as precise as the width of the buckets. */
export function percentile(before: Buckets, after: Buckets, share: number): number {
  const counts = after.map(({ below, count }, index) => ({ below, count: count - (before[index]?.count ?? 0) }));
  const wanted = (counts.at(-1)?.count ?? 0) * share;
  let [lower, counted] = [0, 0];
  for (const { below, count } of counts) {
    if (count >= wanted) {
      const part = below === Number.POSITIVE_INFINITY ? 0 : (wanted - counted) / Math.max(1, count - counted);
      return Math.round(1000 * (lower + part * (Math.min(below, 1e9) - lower)));
    }
    [lower, counted] = [below, count];
  }
  return 0;
}
