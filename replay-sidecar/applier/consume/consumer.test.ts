import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { EARLIER_CONSUMER, ensureApplierStreams, findConsumer } from '@edge-migration/contract/streams/applier.ts';
import { EVENT_SUBJECT, ensureStreams, STREAM } from '@edge-migration/contract/streams/events.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { type Nats, startNats } from '@edge-migration/test/cluster/nats.ts';
import { createFolder, removeFolder } from '@edge-migration/test/cluster/reaper.ts';
import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { AckPolicy, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Consumer } from './consumer.ts';
import type { InFlightMessage } from './in-flight.ts';

// Servers are killed and restarted, which takes a while on a busy machine.
vi.setConfig({ testTimeout: 600_000 });

const APPLIER = { streamReplicas: 1, parkedMaxBytes: 1e8, ackWaitSeconds: 30, lateWriteSeconds: 65 };
const STREAMS = { streamReplicas: 1, streamMaxBytes: 1e8, streamDuplicateWindowSeconds: 120 };

let folder: string;
let nats: Nats;
let connections: NatsConnection[];
let manager: JetStreamManager;

beforeEach(async () => {
  folder = createFolder('inbox');
  nats = await startNats({ config: `jetstream { store_dir: ${JSON.stringify(join(folder, 'jetstream'))} }` });
  connections = [];
  manager = await jetstreamManager(await open(), { timeout: 60_000 });
  await ensureStreams(manager, STREAMS);
});

afterEach(async () => {
  await Promise.all(connections.map((connection) => connection.close()));
  await nats.stop();
  removeFolder(folder);
});

async function open(): Promise<NatsConnection> {
  const connection = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 20 });
  connections.push(connection);
  return connection;
}

interface Applier extends AsyncDisposable {
  readonly inbox: Consumer;
  readonly connection: NatsConnection;
  /** The last message delivered with this text. */
  get(text: string): Promise<InFlightMessage>;
}

/** An inbox whose messages wait until the test answers them. */
async function startApplier(settings = APPLIER): Promise<Applier> {
  const connection = await open();
  const logger = createLogger('test', 'fatal');
  const inbox = new Consumer({
    connection,
    settings: { ...settings, window: 100 },
    witness: { see: () => {} },
    store: { notice() {} },
    clock: systemClock,
    logger,
  });
  const delivered = new Map<string, InFlightMessage>();
  const stop = new AbortController();
  const running = inbox.run(stop.signal, (held) => delivered.set(held.message.string(), held)).catch(() => undefined);
  return {
    inbox,
    connection,
    get: (text) => waitFor(() => delivered.get(text), { for: `${text} to be delivered` }),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

/** At once: a connection opened earlier may still have to reconnect. */
const publish = async (text: string) => {
  const client = jetstream(await open(), { timeout: 60_000 });
  await waitFor(() => client.publish(EVENT_SUBJECT, text).catch(() => undefined), { for: 'the stream to take it' });
};

/** The earlier copy of NATS's data comes back, as after a crash that lost the end of the stream, or from a backup. */
const data = () => join(folder, 'jetstream');
const copyData = () => cpSync(data(), `${data()}-earlier`, { recursive: true });
async function restoreData(): Promise<void> {
  rmSync(data(), { recursive: true });
  cpSync(`${data()}-earlier`, data(), { recursive: true });
  await nats.restart();
}

async function texts(): Promise<string[]> {
  // On its own connection: a request on one that has not noticed the restart yet gets no answer.
  const connection = await open();
  const { streams } = await jetstreamManager(connection, { timeout: 60_000 });
  const { state } = await streams.info(STREAM);
  const found: string[] = [];
  for (let seq = state.first_seq; seq <= state.last_seq; seq++)
    found.push((await streams.getMessage(STREAM, { seq }))?.string() ?? '');
  await connection.close();
  return found;
}

describe('an event that was in flight when NATS lost the end of the stream', () => {
  // A delivery that comes only after NATS has waited in vain for an answer is too late for these tests.
  const LONG_ACK_WAIT = { ...APPLIER, ackWaitSeconds: 3600 };

  test('is no longer acknowledged: its sequence is another event now, which comes at once', async () => {
    await ensureApplierStreams(manager, LONG_ACK_WAIT);
    copyData();
    await using applier = await startApplier(LONG_ACK_WAIT);
    await publish('lost');
    const lost = await applier.get('lost');
    await nats.kill('SIGKILL');
    await restoreData();
    await publish('new');
    const fresh = await applier.get('new');
    expect(fresh.message.seq).toBe(lost.message.seq);
    lost.ack();
    await applier.connection.flush();
    expect(await texts()).toEqual(['new']);
    expect([lost.isOpen(), fresh.isOpen()]).toEqual([false, true]);
    fresh.ack();
    await waitFor(async () => (await texts()).length === 0, { for: 'the acknowledgement of the new one' });
  });

  test('no longer takes any room, and nothing speaks for it', async () => {
    await ensureApplierStreams(manager, LONG_ACK_WAIT);
    copyData();
    await using applier = await startApplier(LONG_ACK_WAIT);
    await publish('lost');
    await applier.get('lost');
    await nats.kill('SIGKILL');
    await restoreData();
    await publish('new');
    await applier.get('new');
    expect([...applier.inbox.held].map(({ message }) => message.string())).toEqual(['new']);
  });
});

test('an event of a deleted stream does not acknowledge one of the stream that was made in its place', async () => {
  await using applier = await startApplier();
  await publish('old');
  const old = await applier.get('old');
  await manager.streams.delete(STREAM);
  await ensureStreams(manager, STREAMS);
  await publish('new');
  const fresh = await applier.get('new');
  expect(fresh.message.seq).toBe(old.message.seq);
  old.ack();
  // Nor does an applier that has not noticed anything.
  const { consumer, streamSequence, timestampNanos } = old.message.info;
  const place = [STREAM, consumer, 1, streamSequence, 1, timestampNanos, 0].join('.');
  applier.connection.publish(`$JS.ACK.${place}`, '+ACK');
  await applier.connection.flush();
  expect(await texts()).toEqual(['new']);
  fresh.ack();
  await waitFor(async () => (await texts()).length === 0, { for: 'the acknowledgement of the new one' });
});

test('an applier uses the consumer made by an earlier release for as long as its stream is there', async () => {
  await manager.consumers.add(STREAM, { durable_name: EARLIER_CONSUMER, ack_policy: AckPolicy.Explicit });
  await using applier = await startApplier();
  await publish('one');
  (await applier.get('one')).ack();
  await waitFor(async () => (await texts()).length === 0, { for: 'the acknowledgement' });
  expect((await manager.consumers.list(STREAM).next()).map(({ name }) => name)).toEqual([EARLIER_CONSUMER]);
});

test('an applier has no more large events of a backlog in flight than there is room for', async () => {
  await ensureApplierStreams(manager, APPLIER);
  for (let index = 0; index < 40; index++) await publish(`${index} `.padEnd(60_000));
  await using applier = await startApplier();
  // 358,400 bytes are the room of a window of 100, which holds five of them without being full.
  await waitFor(() => applier.inbox.held.size >= 6, { for: 'the room to be taken' });
  const { created } = await manager.streams.info(STREAM);
  expect((await findConsumer(manager, created))?.num_pending).toBe(34);
});

describe('an event that NATS delivers as if for the first time, because a crash lost the memory of its delivery,', () => {
  /** Delivered to an applier, of which NATS no longer knows anything. */
  async function deliverAndForget(): Promise<void> {
    await ensureApplierStreams(manager, APPLIER);
    {
      await using applier = await startApplier();
      await publish('before');
      (await applier.get('before')).ack();
      await waitFor(async () => (await texts()).length === 0, { for: 'the acknowledgement' });
    }
    await publish('event');
    await nats.kill('SIGTERM');
    copyData();
    await nats.restart();
  }

  test('is in doubt for the process that had it', async () => {
    await deliverAndForget();
    await using applier = await startApplier();
    const first = await applier.get('event');
    await nats.kill('SIGKILL');
    await restoreData();
    const second = await waitFor(async () => (await applier.get('event')) !== first && applier.get('event'), {
      for: 'its next delivery',
    });
    expect([second.message.redelivered, second.isDoubtful()]).toEqual([false, true]);
  });

  test('is in doubt for processes that start later, while events that enter the stream after the crash are not', async () => {
    await deliverAndForget();
    {
      await using applier = await startApplier();
      await applier.get('event');
      await nats.kill('SIGKILL');
    }
    await restoreData();
    await using other = await startApplier();
    const again = await other.get('event');
    await publish('new');
    const fresh = await other.get('new');
    expect([again.isDoubtful(), fresh.isDoubtful()]).toEqual([true, false]);
  });
});

describe('an event that is worked on for longer than NATS waits for its answer', () => {
  /** Longer than a busy machine stands still. */
  const QUICK = { ...APPLIER, ackWaitSeconds: 15 };

  /** How often a process has told NATS that it still works on an event. */
  async function countWork(): Promise<() => number> {
    let times = 0;
    const connection = await open();
    connection.subscribe('$JS.ACK.>', {
      callback(_, message) {
        if (message.string() === '+WPI') times += 1;
      },
    });
    await connection.flush();
    return () => times;
  }

  test('stays with the process that speaks for it', async () => {
    await using applier = await startApplier(QUICK);
    const told = await countWork();
    await publish('long work');
    const held = await applier.get('long work');
    let least = Number.POSITIVE_INFINITY;
    const isLong = () => {
      least = Math.min(least, held.left());
      // Three times a wait: longer than NATS waits.
      return told() >= 4;
    };
    await waitFor(isLong, { for: 'the work to take long', intervalMs: 100 });
    expect(least).toBeGreaterThan(0);
    expect(held.isDoubtful()).toBe(false);
    expect((await applier.get('long work')).message.redelivered).toBe(false);
  });
});

describe('an event that was naked', () => {
  const again = async (applier: Applier, text: string, before: InFlightMessage) => {
    before.nak(1);
    return waitFor(async () => (await applier.get(text)) !== before && applier.get(text), { for: 'its next delivery' });
  };

  test('is not in doubt when it comes back to the process that naked it without an unanswered write', async () => {
    await using applier = await startApplier();
    await publish('event');
    const first = await applier.get('event');
    const second = await again(applier, 'event', first);
    const third = await again(applier, 'event', second);
    expect(third.message.info.deliveryCount).toBe(3);
    expect([first, second, third].map((held) => held.isDoubtful())).toEqual([false, false, false]);
  });

  test('is in doubt when a write for it was not answered', async () => {
    await using applier = await startApplier();
    await publish('event');
    const first = await applier.get('event');
    first.doubt();
    expect((await again(applier, 'event', first)).isDoubtful()).toBe(true);
  });

  test('is in doubt for another process', async () => {
    await publish('event');
    {
      await using applier = await startApplier();
      (await again(applier, 'event', await applier.get('event'))).nak(1);
    }
    await using other = await startApplier();
    expect((await other.get('event')).isDoubtful()).toBe(true);
  });

  test('is in doubt when NATS may have lost its delivery count in between', async () => {
    await using applier = await startApplier();
    await publish('event');
    const first = await applier.get('event');
    first.nak(500);
    applier.inbox.drop();
    const second = await waitFor(async () => (await applier.get('event')) !== first && applier.get('event'), {
      for: 'its next delivery',
    });
    expect(second.isDoubtful()).toBe(true);
  });
});
