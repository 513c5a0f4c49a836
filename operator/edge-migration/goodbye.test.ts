import { coverageSubject, ensureStreams } from '@edge-migration/contract/streams/events.ts';
import { type Nats, startNats } from '@edge-migration/test/cluster/nats.ts';
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StoredReport } from '../coverage/decide.ts';
import { readReports } from '../coverage/read.ts';
import { sayGoodbyeFor } from './goodbye.ts';

let nats: Nats;
let connection: NatsConnection;
let client: JetStreamClient;
let manager: JetStreamManager;
beforeAll(async () => {
  nats = await startNats();
  connection = await connect({ servers: nats.url });
  client = jetstream(connection, { timeout: 60_000 });
  manager = await jetstreamManager(connection, { timeout: 60_000 });
  await ensureStreams(manager, {
    streamReplicas: 1,
    streamMaxBytes: 64 * 1024 ** 2,
    streamDuplicateWindowSeconds: 120,
  });
});
afterAll(async () => {
  await connection?.close();
  await nats?.stop();
});

/** The sidecar's own report; `spoolDepth` tells one from another. */
async function report(spoolDepth: number): Promise<StoredReport> {
  const now = new Date().toISOString();
  const said = {
    ...{ version: 1, instance: 'api-1/uid-1', podUid: 'uid-1', podName: 'api-1', spoolId: 'spool-1' },
    ...{ namespace: 'flagsmith', node: 'node-1', release: '0.1.0', startedTime: now, time: now },
    ...{ spoolDepth, spoolBytes: 1, oldestUnsentTime: now, allSentUntil: now, gaps: [], probe: null, goodbye: false },
  };
  await client.publish(coverageSubject('uid-1', 'spool-1'), JSON.stringify(said));
  return last();
}

async function last(): Promise<StoredReport> {
  const stored = (await readReports(manager)).reports.at(-1);
  if (stored === undefined) throw new Error('Nothing is reported');
  return stored;
}

const goodbye = ({ report, sequence }: StoredReport) => ({ report: { ...report, goodbye: true }, sequence });

test('a goodbye for a sidecar does not replace a newer report that the sidecar has sent meanwhile', async () => {
  const silent = await report(3);
  await report(4);
  await sayGoodbyeFor(client, goodbye(silent));
  expect((await last()).report).toMatchObject({ spoolDepth: 4, goodbye: false });
});

test('a goodbye for a silent sidecar replaces its last report', async () => {
  await sayGoodbyeFor(client, goodbye(await report(5)));
  const { reports } = await readReports(manager);
  expect(reports.map(({ report: { spoolDepth, goodbye } }) => ({ spoolDepth, goodbye }))).toEqual([
    { spoolDepth: 5, goodbye: true },
  ]);
});
