import { coverageSubject } from '@edge-migration/contract/streams/events.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { JetStreamApiCodes, JetStreamApiError, type JetStreamClient } from '@nats-io/jetstream';
import { type CoverageFacts, closeVanished, type StoredReport } from '../coverage/decide.ts';
import type { Departures } from './departures.ts';

/**
 * Stores a report in place of the sidecar's own report of this sequence, unless the sidecar has sent another one
 * meanwhile: then it is not gone, and its own report counts.
 *
 * @throws the NATS client's error when the stream rejects it
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

/** For sidecars that left without a word: their gaps are in the stream, for all replicas and later operators. */
export async function sayGoodbyeForVanished(
  client: JetStreamClient,
  facts: CoverageFacts,
  logger: Logger,
): Promise<void> {
  for (const closed of closeVanished(facts)) {
    logger.warn(
      { pod: closed.report.podName },
      'a sidecar or spool disappeared without a final report; recorded a gap',
    );
    await sayGoodbyeFor(client, closed);
  }
}

/** For pods that are gone and never had a sidecar's report. */
export async function sayGoodbyeForUnheard(
  client: JetStreamClient,
  reports: readonly StoredReport[],
  departures: Pick<Departures, 'findUnheard' | 'forget'>,
  logger: Logger,
): Promise<void> {
  for (const report of departures.findUnheard(reports)) {
    logger.warn({ pod: report.podName }, 'a Core API pod whose sidecar never reported is gone; recorded a gap');
    await sayGoodbyeFor(client, { report, sequence: 0 });
    departures.forget(report.podUid);
  }
}
