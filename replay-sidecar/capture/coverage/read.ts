import type { JetStreamManager } from '@nats-io/jetstream';

import { COVERAGE_STREAM } from '../../stream.ts';
import type { StoredReport } from './decide.ts';
import { type CoverageReport, coverageReport } from './report.ts';

const BATCH = 256;

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
  const read: ReadReports = { reports: [], unreadable: [] };
  for (let sequence = 1; ; ) {
    const batch = await manager.direct.getBatch(COVERAGE_STREAM, { seq: sequence, batch: BATCH });
    let count = 0;
    for await (const message of batch) {
      const report = parse(message.subject, message.string());
      if (report instanceof UnreadableReportError) read.unreadable.push(report);
      else read.reports.push({ report, storedTime: Date.parse(message.timestamp) });
      sequence = message.seq + 1;
      count += 1;
    }
    if (count < BATCH) return read;
  }
}

function parse(subject: string, text: string): CoverageReport | UnreadableReportError {
  try {
    return coverageReport.parse(JSON.parse(text));
  } catch (cause) {
    return new UnreadableReportError(`The coverage report in ${subject} is not understood`, { cause });
  }
}
