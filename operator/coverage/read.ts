import { type CoverageReport, coverageReport } from '@edge-migration/contract/reports/coverage.ts';

import {
  COVERAGE_STREAM,
  coverageSubject,
  MAX_MESSAGE_BYTES,
  readStored,
} from '@edge-migration/contract/streams/events.ts';
import type { JetStreamManager } from '@nats-io/jetstream';
import type { StoredReport } from './decide.ts';

/**
 * A report that this release cannot parse, or does not trust: the sidecar is newer, its clock is wrong, or another
 * client publishes there.
 */
class UnreadableReportError extends Error {
  override readonly name = 'UnreadableReportError';
}

export interface ReadReports {
  reports: StoredReport[];
  /** Their pods count as not covered. */
  unreadable: UnreadableReportError[];
}

/**
 * The last report of every sidecar, including former ones.
 *
 * @throws errors of the client library if the stream is missing or unreachable
 */
export async function readReports(manager: JetStreamManager): Promise<ReadReports> {
  // A report that is replaced while they are read would occur twice.
  const last = new Map<string, StoredReport | UnreadableReportError>();
  for await (const message of readStored(manager, COVERAGE_STREAM)) {
    const storedTime = Date.parse(message.timestamp);
    const report = parse(message.subject, message.data, storedTime);
    // Ordered by sequence.
    last.delete(message.subject);
    if (report instanceof UnreadableReportError) last.set(message.subject, report);
    else last.set(message.subject, { report, sequence: message.seq, storedTime });
  }
  const read: ReadReports = { reports: [], unreadable: [] };
  for (const one of last.values()) {
    if (one instanceof UnreadableReportError) read.unreadable.push(one);
    else read.reports.push(one);
  }
  return read;
}

function parse(subject: string, data: Uint8Array, storedTime: number): CoverageReport | UnreadableReportError {
  const refuse = (why: string, cause?: unknown) =>
    new UnreadableReportError(`the coverage report in ${subject} cannot be parsed: ${why}`, { cause });
  if (data.length > MAX_MESSAGE_BYTES) return refuse('too long');
  try {
    const report = coverageReport.parse(JSON.parse(Buffer.from(data).toString()));
    if (coverageSubject(report.podUid, report.spoolId) !== subject)
      return refuse('it speaks for another pod than its subject');
    if (latestTime(report) > storedTime + AHEAD_MS) return refuse('a time in it is more than a day ahead');
    return report;
  } catch (cause) {
    return refuse('its fields', cause);
  }
}

/** No two clocks differ by more. */
const AHEAD_MS = 24 * 60 * 60 * 1000;

/** All times in a report, in milliseconds since the epoch. */
function latestTime({ time, startedTime, oldestUnsentTime, allSentUntil, probe, gaps }: CoverageReport): number {
  const ends = gaps.flatMap(({ from, until }) => [from, until]);
  const times = [time, startedTime, oldestUnsentTime, allSentUntil, probe?.time, ...ends];
  return Math.max(...times.filter((each) => each != null).map((each) => Date.parse(each)));
}
