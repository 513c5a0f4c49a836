import type { CoverageGap, CoverageReport } from '@edge-migration/contract/reports/coverage.ts';
import type { UsageReport } from '@edge-migration/contract/reports/usage.ts';

/** A clock that is wrong by less counts as right, so that nothing moves with each report. */
const RIGHT_MS = 1000;

/**
 * A report with its times by the stream's clock instead of the sidecar's (docs/design.md, "Time"). The transit time of
 * reports is unknown, so each time is moved in the direction that claims more, by whole seconds: gaps begin earlier and
 * end later, and less has been sent.
 *
 * @param ahead milliseconds by which the sidecar's clock is ahead of the stream's
 */
export function toStoreTime(report: CoverageReport, ahead: number): CoverageReport {
  if (Math.abs(ahead) <= RIGHT_MS) return report;
  const seconds = Math.ceil(Math.abs(ahead) / 1000) * 1000 + RIGHT_MS;
  const early = (time: string) => (ahead > 0 ? shift(time, -seconds) : time);
  const late = (time: string) => (ahead < 0 ? shift(time, seconds) : time);
  const toGap = (gap: CoverageGap): CoverageGap => ({
    ...gap,
    from: early(gap.from),
    until: gap.until && late(gap.until),
  });
  return {
    ...report,
    time: shift(report.time, -ahead),
    // The end of a previous spool's gap, or the start of a process without one.
    startedTime: report.spoolId === undefined ? early(report.startedTime) : late(report.startedTime),
    oldestUnsentTime: report.oldestUnsentTime && early(report.oldestUnsentTime),
    allSentUntil: report.allSentUntil && early(report.allSentUntil),
    gaps: report.gaps.map(toGap),
    probe: report.probe && { ...report.probe, time: shift(report.probe.time, -ahead) },
    usage: report.usage && toStoreDays(report.usage, ahead),
  };
}

const HALF_A_DAY_MS = 12 * 60 * 60 * 1000;

/**
 * A day by a clock that is hours wrong is assigned to the day that includes most of it. `since` is also an identifier,
 * and stays.
 */
function toStoreDays(usage: UsageReport, ahead: number): UsageReport {
  const toTime = (time: string | null) => time && shift(time, -ahead);
  return {
    ...usage,
    days: usage.days.map(({ date, environments }) => ({
      date: shift(date, HALF_A_DAY_MS - ahead).slice(0, 10),
      environments: environments.map((one) => ({
        ...one,
        lastWrite: toTime(one.lastWrite),
        lastRead: toTime(one.lastRead),
      })),
    })),
  };
}

function shift(time: string, milliseconds: number): string {
  return new Date(Date.parse(time) + milliseconds).toISOString();
}
