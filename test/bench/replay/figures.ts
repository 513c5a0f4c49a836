import { readFile } from 'node:fs/promises';
import { probeHttp } from '../../cluster/probe.ts';

/** `/proc/<pid>/stat` counts in hundredths of a second. */
const TICKS_PER_SECOND = 100;

/** Of the whole process, since it started. */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

export async function residentMegabytes(pid: number): Promise<number> {
  const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Math.round(Number(kilobytes) / 1024);
}

type Buckets = readonly { readonly below: number; readonly count: number }[];

/** Events by lag, cumulative, ascending; seconds. */
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

/** Milliseconds; as exact as the buckets are narrow. */
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
