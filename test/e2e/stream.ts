import type { CoverageGap } from '@edge-migration/contract/reports/coverage.ts';
import { STREAM } from '@edge-migration/contract/write-event.ts';
import { readReports } from '@edge-migration/operator/coverage/read.ts';
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { Nats } from '../cluster/nats.ts';

/** Number of events that were not handled yet, or not for the last time. */
export function countEvents(nats: Nats): Promise<number> {
  return ask(nats, async (manager) => (await manager.streams.info(STREAM)).state.messages);
}

/** Number of events that all sidecars together have not sent yet; infinite while one does not know. */
export function countUnsent(nats: Nats): Promise<number> {
  return ask(nats, async (manager) => {
    const { reports } = await readReports(manager);
    return reports.reduce((sum, { report }) => sum + (report.allSentUntil === null ? Infinity : report.spoolDepth), 0);
  });
}

/** Time of the oldest of the sidecars' last reports, in milliseconds since the epoch. */
export function readOldestReport(nats: Nats): Promise<number> {
  return ask(nats, async (manager) => {
    const { reports } = await readReports(manager);
    return Math.min(...reports.map(({ report }) => Date.parse(report.time)));
  });
}

/** All sidecars' reported counts of events that they missed or could not send. */
export function readGaps(nats: Nats): Promise<CoverageGap[]> {
  return ask(nats, async (manager) => {
    const { reports } = await readReports(manager);
    return reports.flatMap(({ report }) => report.gaps);
  });
}

async function ask<T>(nats: Nats, question: (manager: JetStreamManager) => Promise<T>): Promise<T> {
  const connection = await connect({ servers: nats.url });
  try {
    return await question(await jetstreamManager(connection, { timeout: 60_000 }));
  } finally {
    await connection.close();
  }
}
