import { ensureApplierStreams } from '@edge-migration/contract/streams/applier.ts';
import { EVENT_SUBJECT, ensureStreams, STREAM } from '@edge-migration/contract/streams/events.ts';
import { useJetStream } from '@edge-migration/test/cluster/jetstream.ts';
import { AckPolicy, type JetStreamApiError, jetstream, RetentionPolicy } from '@nats-io/jetstream';
import { expect, test } from 'vitest';

const on = useJetStream();
const settings = {
  ...{ streamReplicas: 1, streamMaxBytes: 1e8, streamDuplicateWindowSeconds: 120 },
  ...{ parkedMaxBytes: 1e8, ackWaitSeconds: 30 },
};
const consumers = async () => (await on.manager.consumers.list(STREAM).next()).map(({ name }) => name);
/** As in builds from before the stream denied purges and appliers had their present consumer. */
const rollUps = { allow_rollup_hdrs: true, allow_msg_ttl: true };
const formerConsumer = { durable_name: 'edge-applier', ack_policy: AckPolicy.Explicit };
const refusal = (change: Promise<unknown>) => change.then(String, ({ message }: JetStreamApiError) => message);

test('a stream and a consumer of earlier builds are taken over with their contents', async () => {
  const retention = RetentionPolicy.Workqueue;
  await on.manager.streams.add({ name: STREAM, subjects: ['identity.writes.>'], retention, ...rollUps });
  await on.manager.consumers.add(STREAM, formerConsumer);
  await jetstream(on.connection, { timeout: 60_000 }).publish(EVENT_SUBJECT, '{}');
  await ensureStreams(on.manager, settings);
  await ensureApplierStreams(on.manager, settings);
  expect(await consumers()).toEqual(['edge-applier']);
  expect((await on.manager.consumers.info(STREAM, 'edge-applier')).num_pending).toBe(1);
});

test('the way back works as docs/upgrade.md says: NATS refuses roll-ups on the stream, and a second consumer', async () => {
  expect(await refusal(on.manager.streams.update(STREAM, rollUps))).toMatch(/roll-ups require the purge permission/);
  expect(await refusal(on.manager.streams.update(STREAM, { deny_purge: false }))).toMatch(/can not cancel deny purge/);
  await on.manager.streams.delete(STREAM);
  await ensureStreams(on.manager, settings);
  await ensureApplierStreams(on.manager, settings);
  await jetstream(on.connection, { timeout: 60_000 }).publish(EVENT_SUBJECT, '{}');
  expect(await refusal(on.manager.consumers.add(STREAM, formerConsumer))).toMatch(/multiple non-filtered consumers/);
  const [name = ''] = await consumers();
  await on.manager.consumers.delete(STREAM, name);
  expect((await on.manager.consumers.add(STREAM, formerConsumer)).num_pending).toBe(1);
});
