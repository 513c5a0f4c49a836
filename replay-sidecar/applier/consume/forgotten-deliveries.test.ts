import { ensureApplierStreams } from '@edge-migration/contract/streams/applier.ts';
import { EVENT_SUBJECT, ensureStreams, STREAM } from '@edge-migration/contract/streams/events.ts';
import { createFakeClock } from '@edge-migration/runtime/testing/fake-clock.ts';
import { type Nats, startNats } from '@edge-migration/test/cluster/nats.ts';
import { type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createForgottenDeliveries } from './forgotten-deliveries.ts';

// The server restarts.
vi.setConfig({ testTimeout: 600_000 });

let nats: Nats;
let connection: NatsConnection;
let manager: JetStreamManager;
let consumer: string;

beforeEach(async () => {
  nats = await startNats();
  await open();
  await ensureStreams(manager, { streamReplicas: 1, streamMaxBytes: 1e8, streamDuplicateWindowSeconds: 120 });
  const settings = { streamReplicas: 1, parkedMaxBytes: 1e8, ackWaitSeconds: 30 };
  consumer = (await ensureApplierStreams(manager, settings)).name;
});
afterEach(async () => {
  await connection.close();
  await nats.stop();
});

async function open(): Promise<void> {
  connection = await connect({ servers: nats.url });
  manager = await jetstreamManager(connection, { timeout: 60_000 });
}

async function restart(): Promise<void> {
  await connection.close();
  await nats.kill('SIGKILL');
  await nats.restart();
  await open();
}

const publish = () => jetstream(connection, { timeout: 60_000 }).publish(EVENT_SUBJECT, 'event');

async function take(): Promise<void> {
  const message = await (await jetstream(connection, { timeout: 60_000 }).consumers.get(STREAM, consumer)).next({
    expires: 120_000,
  });
  await message?.ackAck();
}

async function check({ milliseconds = 65_000, isOther = false, clock = createFakeClock() } = {}) {
  const forgotten = createForgottenDeliveries(clock, milliseconds);
  await forgotten.check(manager, consumer, isOther);
  return forgotten;
}

test('a server that was never down has forgotten no delivery', async () => {
  await publish();
  expect((await check()).includes(1)).toBe(false);
  await take();
  await publish();
  expect((await check()).includes(2)).toBe(false);
});

test('a message in the stream when NATS restarted may have been delivered, and a later one was not', async () => {
  await publish();
  await take();
  await publish();
  await restart();
  const forgotten = await check();
  await publish();
  expect([forgotten.includes(2), forgotten.includes(3)]).toEqual([true, false]);
});

test('a message counts as forgotten also for a process that asks only when another one has got something since', async () => {
  await publish();
  await take();
  await publish();
  await publish();
  await restart();
  await check();
  await take();
  expect((await check()).includes(3)).toBe(true);
});

test('deliveries of a consumer that was made again count as forgotten, too', async () => {
  await publish();
  await take();
  await publish();
  await manager.consumers.delete(STREAM, consumer);
  const settings = { streamReplicas: 1, parkedMaxBytes: 1e8, ackWaitSeconds: 30 };
  await ensureApplierStreams(manager, settings);
  expect((await check()).includes(2)).toBe(true);
});

test('a forgotten delivery is in doubt for as long as an earlier write may arrive, by the clocks of the process and of NATS', async () => {
  await publish();
  await take();
  await publish();
  await restart();
  const clock = createFakeClock();
  const forgotten = await check({ clock });
  await clock.advance(64_999);
  expect(forgotten.includes(2)).toBe(true);
  await clock.advance(1);
  expect(forgotten.includes(2)).toBe(false);
  await take();
  expect((await check({ milliseconds: 1 })).includes(2)).toBe(false);
});

test('a process that has switched to another server asks no other process', async () => {
  await publish();
  expect((await check({ isOther: true })).includes(1)).toBe(true);
});
