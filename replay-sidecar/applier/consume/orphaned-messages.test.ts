import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureApplierStreams, findConsumer } from '@edge-migration/contract/streams/applier.ts';
import {
  derivedSubject,
  EVENT_SUBJECT,
  ensureStreams,
  probeSubject,
  readStored,
} from '@edge-migration/contract/streams/events.ts';
import { STREAM } from '@edge-migration/contract/write-event.ts';
import { type Clock, systemClock } from '@edge-migration/runtime/clock.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { type Nats, startNats } from '@edge-migration/test/cluster/nats.ts';
import { createFolder, removeFolder } from '@edge-migration/test/cluster/reaper.ts';
import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isDoubted, isTried } from './delivery.ts';
import { createOrphanedMessages } from './orphaned-messages.ts';

const folder = createFolder('strays');
let nats: Nats;
let connection: NatsConnection;
let manager: JetStreamManager;

beforeAll(async () => {
  nats = await startNats();
  connection = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
  manager = await jetstreamManager(connection, { timeout: 60_000 });
  await ensureStreams(manager, { streamReplicas: 1, streamMaxBytes: 1e8, streamDuplicateWindowSeconds: 120 });
  await ensureApplierStreams(manager, { streamReplicas: 1, parkedMaxBytes: 1e8, ackWaitSeconds: 600 });
});

afterAll(async () => {
  await connection?.close();
  await nats?.stop();
  removeFolder(folder);
});

/** Takes events from the stream, and answers those that `isDone` accepts. */
async function take(count: number, isDone: (text: string) => boolean = () => true): Promise<string[]> {
  const { created } = await manager.streams.info(STREAM);
  const { name } = (await findConsumer(manager, created))!;
  const consumer = await jetstream(connection, { timeout: 60_000 }).consumers.get(STREAM, name);
  const texts: string[] = [];
  for await (const message of await consumer.fetch({ max_messages: count, expires: 120_000 })) {
    texts.push(message.string());
    if (isDone(message.string())) await message.ackAck();
  }
  return texts;
}

/** As after a crash before which the acknowledgements reached the disk for the consumer, but not for the stream. */
async function forgetRemovals(change: () => Promise<void>): Promise<void> {
  const answer = (await (await fetch(`${nats.monitorUrl}/jsz?config=1`)).json()) as { config: { store_dir: string } };
  const messages = join(answer.config.store_dir, '$G/streams', STREAM, 'msgs');
  const before = join(folder, 'before');
  await cp(messages, before, { recursive: true });
  await change();
  await nats.kill('SIGTERM');
  await waitFor(() => !nats.running, { for: 'NATS to end' });
  await rm(messages, { recursive: true });
  await cp(before, messages, { recursive: true });
  await nats.restart();
}

/** One check of an applier that has just started. */
async function lookOnce(): Promise<void> {
  const stop = new AbortController();
  let waits = 0;
  const clock: Clock = {
    ...systemClock,
    async sleep() {
      waits += 1;
      if (waits > 1) stop.abort(new Error('it has checked once'));
      stop.signal.throwIfAborted();
    },
  };
  const logger = createLogger('test', 'fatal');
  await expect(createOrphanedMessages({ connection, clock, logger }).run(stop.signal)).rejects.toThrow(
    'it has checked once',
  );
}

const depth = async () => (await manager.streams.info(STREAM)).state.messages;

test('events that NATS has kept but takes for acknowledged are brought back, once', { timeout: 600_000 }, async () => {
  const client = jetstream(connection, { timeout: 60_000 });
  const subjects = { one: EVENT_SUBJECT, two: derivedSubject(5), probe: probeSubject('uid') };
  for (const text of ['one', 'two', 'probe', 'held', 'new'] as const)
    await client.publish({ held: EVENT_SUBJECT, new: EVENT_SUBJECT, ...subjects }[text], text, { msgID: text });
  await forgetRemovals(async () => {
    expect(await take(4, (text) => text !== 'held')).toEqual(['one', 'two', 'probe', 'held']);
  });
  // As soon as the connection is back.
  await waitFor(async () => (await depth()) === 5, { for: 'the stream to be as before' });
  await lookOnce();
  // An acknowledgement may be on its way to the stream.
  expect((await manager.streams.info(STREAM, { subjects_filter: derivedSubject(0) })).state.subjects).toBeUndefined();
  const stop = new AbortController();
  const logger = createLogger('test', 'fatal');
  const running = [1, 2].map(() => createOrphanedMessages({ connection, clock: systemClock, logger }).run(stop.signal));
  const areMoved = async () => (await manager.streams.info(STREAM)).state.first_seq === 4;
  await waitFor(areMoved, { for: 'the strays to be brought back', timeoutMs: 120_000 });
  stop.abort(new Error('the test is over'));
  await Promise.allSettled(running);
  // The project of the first one was never looked up; a probe is no longer of use.
  const { state } = await manager.streams.info(STREAM, { subjects_filter: '>' });
  expect(state.subjects).toEqual({ [EVENT_SUBJECT]: 2, [derivedSubject(0)]: 1, [derivedSubject(5)]: 1 });
  // A process that had them may have left a write behind.
  for await (const { subject, header } of readStored(manager, STREAM, { subject: 'identity.writes.derived.*' })) {
    expect(isDoubted({ subject, headers: header })).toBe(true);
    // None of them was parked, where it would have room.
    expect(isTried({ subject, headers: header })).toBe(false);
  }
  // A message that was delivered and is not answered yet is not a stray.
  expect((await take(3)).toSorted()).toEqual(['new', 'one', 'two']);
  expect(await depth()).toBe(1);
});
