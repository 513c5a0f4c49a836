import { consumerName, ensureApplierStreams, PARKING_STREAM } from '@edge-migration/contract/streams/applier.ts';
import { ensureStreams, STREAM } from '@edge-migration/contract/streams/events.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { parseEnvironment } from '@edge-migration/runtime/configuration.ts';
import { type Nats, startNats } from '@edge-migration/test/cluster/nats.ts';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkConfiguration } from './config.ts';
import { checkStreams, openNats } from './nats.ts';

const started = new AsyncDisposableStack();
let nats: Nats;
let connection: NatsConnection;

beforeAll(async () => {
  nats = started.use(await startNats());
  connection = await connect({ servers: nats.url });
  started.defer(() => connection.close());
});
afterAll(() => started.disposeAsync());

const STREAMS = { streamReplicas: 1, streamMaxBytes: 100_000, streamDuplicateWindowSeconds: 120 };

async function check() {
  const environment = { EDGE_MIGRATION_NATS_SERVERS: nats.url };
  const configuration = parseEnvironment(checkConfiguration, environment);
  await using opened = await openNats(configuration, systemClock, AbortSignal.timeout(120_000));
  return await checkStreams(opened.manager, opened.server);
}

test('the check of NATS names missing streams and their creators, and reports the absence of appliers', async () => {
  expect((await check()).warnings).toContain(`the operator has not made stream ${STREAM} yet`);
  const manager = await jetstreamManager(connection, { timeout: 60_000 });
  await ensureStreams(manager, STREAMS);
  const { warnings } = await check();
  expect(warnings).toContain(`an applier has not made stream ${PARKING_STREAM} yet`);
  expect(warnings).toContain(`stream ${STREAM} has no consumer: no applier has begun to take events from it`);
});

test('the check of NATS passes when everything exists, and warns of a stream that is nearly full', async () => {
  const manager = await jetstreamManager(connection, { timeout: 60_000 });
  await ensureStreams(manager, STREAMS);
  const settings = { streamReplicas: 1, parkedMaxBytes: 1_000_000, ackWaitSeconds: 30 };
  await ensureApplierStreams(manager, settings);
  const { created } = await manager.streams.info(STREAM);
  expect((await manager.consumers.info(STREAM, consumerName(created))).name).toBe(consumerName(created));
  expect((await check()).warnings).toEqual([]);
  await jetstream(connection, { timeout: 60_000 }).publish('identity.writes.event', new Uint8Array(85_000));
  expect((await check()).warnings).toEqual([`stream ${STREAM} is 85% full`]);
});
