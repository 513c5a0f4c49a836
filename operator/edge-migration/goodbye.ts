import { coverageSubject } from '@edge-migration/contract/streams/events.ts';
import { JetStreamApiCodes, JetStreamApiError, type JetStreamClient } from '@nats-io/jetstream';
import type { StoredReport } from '../coverage/decide.ts';

/**
 * Stores a report in place of the sidecar's own one of this sequence, unless the sidecar has sent another one meanwhile:
 * then it is not gone, and its word counts.
 *
 * @throws what the client library throws when the stream does not take it
 */
export async function sayGoodbyeFor(
  client: JetStreamClient,
  { report, sequence }: Pick<StoredReport, 'report' | 'sequence'>,
): Promise<void> {
  try {
    const expect = { lastSubjectSequence: sequence };
    await client.publish(coverageSubject(report.podUid, report.spoolId), JSON.stringify(report), { expect });
  } catch (error) {
    const isOvertaken = error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamWrongLastSequence;
    if (!isOvertaken) throw error;
  }
}
