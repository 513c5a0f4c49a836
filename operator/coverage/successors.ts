import type { CoverageGap, CoverageReport } from '@edge-migration/contract/reports/coverage.ts';
import type { StoredReport } from './decide.ts';

/** The last report of each pod, under any spool, by the pod's uid. */
export function newestOfPods(reports: readonly StoredReport[]): Map<string, StoredReport> {
  const newest = new Map<string, StoredReport>();
  for (const stored of reports) {
    const known = newest.get(stored.report.podUid);
    if (known === undefined || known.sequence < stored.sequence) newest.set(stored.report.podUid, stored);
  }
  return newest;
}

/**
 * Determines the report of another spool in the same pod that followed this one: the spool of this one was lost. A
 * sidecar that has no spool yet may still find it, so its reports succeed none.
 */
export function findSuccessors(reports: readonly StoredReport[]): (stored: StoredReport) => StoredReport | undefined {
  const named = newestOfPods(reports.filter(({ report }) => report.spoolId !== undefined));
  return (stored) => {
    const newest = named.get(stored.report.podUid);
    const isAnother = newest !== undefined && newest.report.spoolId !== stored.report.spoolId;
    return isAnother && newest.sequence > stored.sequence ? newest : undefined;
  };
}

/** The unsent events of a lost spool: a gap that ended when its successor started. */
export function lostGap(report: CoverageReport, successor: CoverageReport): CoverageGap {
  // A process that never had a spool has not lost events of earlier ones.
  const start = report.spoolId === undefined ? report.startedTime : new Date(0).toISOString();
  const from = report.allSentUntil ?? start;
  const until = from > successor.startedTime ? from : successor.startedTime;
  return { from, until, reason: 'sidecarVanished', scope: null };
}
