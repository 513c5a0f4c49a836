import { type Nats, startNats } from '@edge-migration/test/cluster/nats.ts';
import { DiscardPolicy, jetstream, jetstreamManager, RetentionPolicy, StorageType } from '@nats-io/jetstream';
import { connect, headers, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { COVERAGE_STREAM, ensureStreams, isProbe, probeSubject, STREAM, StreamMismatchError } from './events.ts';

const SETTINGS = { streamReplicas: 1, streamMaxBytes: 1024 ** 2, streamDuplicateWindowSeconds: 60 };

let nats: Nats;
let connection: NatsConnection;
beforeAll(async () => {
  nats = await startNats();
  connection = await connect({ servers: nats.url });
});
afterAll(async () => {
  await connection?.close();
  await nats?.stop();
});
afterEach(async () => {
  const manager = await jetstreamManager(connection, { timeout: 60_000 });
  for await (const name of manager.streams.names()) await manager.streams.delete(name);
});

describe('the streams', () => {
  it('the streams are created as the design says', async () => {
    const manager = await jetstreamManager(connection, { timeout: 60_000 });
    await ensureStreams(manager, SETTINGS);
    expect((await manager.streams.info(STREAM)).config).toMatchObject({
      subjects: ['identity.writes.>'],
      retention: 'workqueue',
      storage: 'file',
      discard: 'new',
      max_bytes: 1024 ** 2,
      duplicate_window: 60e9,
    });
    expect((await manager.streams.info(COVERAGE_STREAM)).config).toMatchObject({
      subjects: ['coverage.>'],
      max_msgs_per_subject: 1,
    });
  });

  it.each(['all', 'sub'])('the streams let no publisher remove their content by Nats-Rollup: %s', async (rollup) => {
    const manager = await jetstreamManager(connection, { timeout: 60_000 });
    await ensureStreams(manager, SETTINGS);
    const client = jetstream(connection, { timeout: 60_000 });
    await client.publish('identity.writes.event', 'one');
    const fields = headers();
    fields.set('Nats-Rollup', rollup);
    await expect(client.publish('identity.writes.event', 'two', { headers: fields })).rejects.toThrow(/rollup/);
    expect((await manager.streams.info(STREAM)).state.messages).toBe(1);
  });

  it('the streams bound bytes, messages per subject and message size, and reject publishes when full', async () => {
    const manager = await jetstreamManager(connection, { timeout: 60_000 });
    await ensureStreams(manager, SETTINGS);
    for (const name of [STREAM, COVERAGE_STREAM]) {
      const { config } = await manager.streams.info(name);
      expect(config.discard).toBe('new');
      for (const limit of [config.max_bytes, config.max_msgs_per_subject, config.max_msg_size]) {
        expect(limit).toBeGreaterThan(0);
      }
    }
  });

  it('the streams are created once and follow the settings without losing their content', async () => {
    const manager = await jetstreamManager(connection, { timeout: 60_000 });
    await ensureStreams(manager, SETTINGS);
    const { created } = await manager.streams.info(STREAM);
    connection.publish('identity.writes.event', 'one');
    await ensureStreams(manager, { ...SETTINGS, streamMaxBytes: 2 * 1024 ** 2 });
    const info = await manager.streams.info(STREAM);
    expect(info).toMatchObject({ created, config: { max_bytes: 2 * 1024 ** 2 }, state: { messages: 1 } });
  });

  it('streams of earlier releases, which every publisher could empty, are closed', async () => {
    const manager = await jetstreamManager(connection, { timeout: 60_000 });
    await manager.streams.add({
      name: STREAM,
      subjects: ['identity.writes.>'],
      retention: RetentionPolicy.Workqueue,
      storage: StorageType.File,
      discard: DiscardPolicy.New,
      allow_rollup_hdrs: true,
    });
    connection.publish('identity.writes.event', 'one');
    await ensureStreams(manager, SETTINGS);
    const { config, state } = await manager.streams.info(STREAM);
    expect(config).toMatchObject({ allow_rollup_hdrs: false, deny_purge: true, allow_msg_ttl: true });
    expect(state.messages).toBe(1);
    await expect(manager.streams.purge(STREAM)).rejects.toThrow(/purge/);
  });

  it('streams of another kind under the same names are refused, not replaced', async () => {
    const manager = await jetstreamManager(connection, { timeout: 60_000 });
    await manager.streams.add({
      name: STREAM,
      subjects: ['identity.writes.>'],
      retention: RetentionPolicy.Limits,
      storage: StorageType.Memory,
    });
    await expect(ensureStreams(manager, SETTINGS)).rejects.toThrow(StreamMismatchError);
  });

  it('probes have a subject that differs from that of events', () => {
    expect(isProbe(probeSubject('uid-1'))).toBe(true);
    expect(isProbe('identity.writes.event')).toBe(false);
  });
});
