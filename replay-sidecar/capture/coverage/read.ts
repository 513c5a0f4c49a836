import type { JetStreamManager } from '@nats-io/jetstream';

import { COVERAGE_STREAM, readStored } from '../../stream.ts';
import type { StoredReport } from './decide.ts';
import { type CoverageReport, coverageReport } from './report.ts';

/** A report that this release does not understand: the sidecar is newer, or something else publishes there. */
export class UnreadableReportError extends Error {
  override readonly name = 'UnreadableReportError';
}

export interface ReadReports {
  reports: StoredReport[];
  /** Their pods count as not covered. */
  unreadable: UnreadableReportError[];
}

/**
 * The last report of every sidecar, of those that are gone too.
 *
 * @throws what the client library throws when the stream is missing or out of reach
 */
export async function readReports(manager: JetStreamManager): Promise<ReadReports> {
  // A report that is replaced while they are read would be there twice.
  const last = new Map<string, StoredReport | UnreadableReportError>();
  for await (const message of readStored(manager, COVERAGE_STREAM)) {
    const report = parse(message.subject, message.string());
    // In the order of their sequences.
    last.delete(message.subject);
    if (report instanceof UnreadableReportError) last.set(message.subject, report);
    else last.set(message.subject, { report, sequence: message.seq, storedTime: Date.parse(message.timestamp) });
  }
  const read: ReadReports = { reports: [], unreadable: [] };
  for (const one of last.values()) {
    if (one instanceof UnreadableReportError) read.unreadable.push(one);
    else read.reports.push(one);
  }
  return read;
}

function parse(subject: string, text: string): CoverageReport | UnreadableReportError {
  try {
    return coverageReport.parse(JSON.parse(text));
  } catch (cause) {
    return new UnreadableReportError(`The coverage report in ${subject} is not understood`, { cause });
  }
}
