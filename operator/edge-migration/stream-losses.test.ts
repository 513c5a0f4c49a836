import { randomUUID } from 'node:crypto';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ensureApplierStreams, PARKING_STREAM } from '@edge-migration/contract/streams/applier.ts';
import { EVENT_SUBJECT, ensureStreams, STREAM, streamSettings } from '@edge-migration/contract/streams/events.ts';
import type { KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import { CONFIG_MAPS } from '@edge-migration/kubernetes/resources.ts';
import { createRemovals } from '@edge-migration/replay-sidecar/applier/settle/removals.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { natsSettings } from '@edge-migration/runtime/nats/connection.ts';
import { type Nats, startNats } from '@edge-migration/test/cluster/nats.ts';
import { createFolder, removeFolder } from '@edge-migration/test/cluster/reaper.ts';
import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { z } from 'zod';
import type { CoverageGapFact } from './facts.ts';
import { ReportedStream } from './reported-stream.ts';
import type { StreamView } from './stream.ts';
import { createRecordStore, RECORD_NAME } from './stream-record.ts';
import { createNamespace } from './testing/namespace.ts';

// Servers are killed and restarted; a busy machine takes its time for that.
vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });

const APPLIER = { streamReplicas: 1, parkedMaxBytes: 1e8, ackWaitSeconds: 30 };
const settings = z.object({ ...natsSettings, ...streamSettings });

let kubernetes: KubernetesClient;
let namespace: string;
let folder: string;
let nats: Nats;
let connection: NatsConnection;
let manager: JetStreamManager;

beforeAll(async () => {
  namespace = `stream-losses-${randomUUID().slice(0, 8)}`;
  kubernetes = await createNamespace(namespace);
});
afterAll(() => kubernetes?.close());

beforeEach(async () => {
  folder = createFolder('losses');
  nats = await startNats({ config: `jetstream { store_dir: ${JSON.stringify(data())} }` });
  connection = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  manager = await jetstreamManager(connection, { timeout: 60_000 });
  await ensureStreams(manager, operatorSettings());
  await ensureApplierStreams(manager, APPLIER);
});

afterEach(async () => {
  await kubernetes.delete(CONFIG_MAPS, { namespace, name: RECORD_NAME });
  await connection.close();
  await nats.stop();
  removeFolder(folder);
});

const operatorSettings = () => settings.parse({ natsServers: nats.url, streamMaxBytes: 64 * 1024 ** 2 });

/** The view of one operator process, and how to end it. */
function openView(): StreamView & AsyncDisposable {
  const stopping = new AbortController();
  const view = new ReportedStream({
    nats: operatorSettings(),
    pods: () => [],
    staticCount: 0,
    freshSeconds: 60,
    readProjects: async () => new Map(),
    usage: { readEnvironments: async () => new Map(), isMigrated: () => false },
    record: createRecordStore(kubernetes, namespace),
    neededSince: () => undefined,
    clock: systemClock,
    logger: createLogger('test', 'silent'),
  });
  const running = view.run(stopping.signal);
  return Object.assign(view, {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
    },
  });
}

const data = () => join(folder, 'jetstream');
const copyData = () => cpSync(data(), `${data()}-earlier`, { recursive: true });
/** NATS goes down, and comes back with the data copied earlier. */
async function restoreData(): Promise<void> {
  await nats.kill('SIGKILL');
  rmSync(data(), { recursive: true });
  cpSync(`${data()}-earlier`, data(), { recursive: true });
  await nats.restart();
}

async function publish(subject: string, count: number): Promise<void> {
  const client = jetstream(connection, { timeout: 60_000 });
  for (let sent = 0; sent < count; sent++)
    await waitFor(() => client.publish(subject, `event ${sent}`).catch(() => undefined), { for: 'the stream' });
}

const gapsOf = (view: StreamView): CoverageGapFact[] => {
  const capture = view.capture(42);
  return capture.kind === 'observed' ? capture.gaps : [];
};

const lost = [{ reason: 'streamLost', podName: undefined, until: expect.any(Number) }];

async function expectLoss(view: StreamView): Promise<void> {
  await waitFor(() => gapsOf(view).length > 0, { for: 'the loss to be found', timeoutMs: 120_000 });
  expect(gapsOf(view)).toMatchObject(lost);
}

/** An operator that has read the streams and recorded them. */
async function untilObserved(view: StreamView, stream: string, sequence: number): Promise<void> {
  const store = createRecordStore(kubernetes, namespace);
  const isSeen = async () => {
    const { record } = await store.read(AbortSignal.timeout(5000));
    return (record?.streams[stream]?.places.at(-1)?.sequence ?? 0) >= sequence;
  };
  await waitFor(isSeen, { for: `the operator to write down ${stream}`, timeoutMs: 120_000 });
  expect(gapsOf(view)).toEqual([]);
}

test('a stream that comes back without its end is a gap of every project, even if no sidecar is left', async () => {
  await publish(EVENT_SUBJECT, 8);
  copyData();
  await publish(EVENT_SUBJECT, 20);
  await using view = openView();
  await untilObserved(view, STREAM, 28);
  await restoreData();
  await expectLoss(view);
});

test('an operator that starts later finds what was lost while none ran', async () => {
  await publish(EVENT_SUBJECT, 8);
  copyData();
  await publish(EVENT_SUBJECT, 20);
  {
    await using view = openView();
    await untilObserved(view, STREAM, 28);
  }
  await restoreData();
  await using later = openView();
  await expectLoss(later);
});

test('a stream that comes back without its end and has grown since is a gap while it holds one of the new messages', async () => {
  await publish(EVENT_SUBJECT, 1);
  const [first] = await Array.fromAsync(await manager.direct.getBatch(STREAM, { seq: 1, batch: 1 }));
  await manager.streams.deleteMessage(STREAM, first!.seq);
  copyData();
  {
    await using view = openView();
    await untilObserved(view, STREAM, 1);
    await publish(EVENT_SUBJECT, 20);
    await untilObserved(view, STREAM, 21);
  }
  await restoreData();
  await publish(EVENT_SUBJECT, 30);
  await using later = openView();
  await expectLoss(later);
});

test('a deleted stream is a gap that all operators together find once', async () => {
  await publish(EVENT_SUBJECT, 5);
  await using view = openView();
  await using second = openView();
  await untilObserved(view, STREAM, 5);
  await manager.streams.delete(STREAM);
  await expectLoss(view);
  await expectLoss(second);
  await using later = openView();
  await expectLoss(later);
});

test('a parking stream that was deleted, or comes back without its end, is a gap', async () => {
  copyData();
  await publish('identity.parked.42.suspended', 3);
  await using view = openView();
  await untilObserved(view, PARKING_STREAM, 3);
  await restoreData();
  await expectLoss(view);
});

test('a parked event deleted by others is a gap, those that an applier removes are not', async () => {
  await publish('identity.parked.42.suspended', 3);
  await publish('identity.parked.42.overflow', 2);
  const removals = createRemovals(connection, 'one', systemClock);
  await removals.tell((await manager.streams.info(PARKING_STREAM)).created);
  await using view = openView();
  await untilObserved(view, PARKING_STREAM, 5);
  await removals.remove(manager, 'identity.parked.42.suspended', 3, 3);
  await publish('identity.parked.42.overflow', 1);
  await untilObserved(view, PARKING_STREAM, 6);
  const { record } = await createRecordStore(kubernetes, namespace).read(AbortSignal.timeout(120_000));
  const { base, told } = record!.removals!;
  // Reported before the removal and after it; the operator may have seen only the first report yet.
  expect([base, told['one']!.removed + told['one']!.pending]).toEqual([0, 3]);
  await manager.streams.deleteMessage(PARKING_STREAM, 5);
  await expectLoss(view);
});

test('parked events purged while no operator runs are a gap', async () => {
  await publish('identity.parked.42.suspended', 3);
  {
    await using view = openView();
    await untilObserved(view, PARKING_STREAM, 3);
  }
  await manager.streams.purge(PARKING_STREAM, { filter: 'identity.parked.42.>' });
  await using later = openView();
  await expectLoss(later);
});

test('neither a first reading nor a restart of NATS without losses is a gap', async () => {
  await publish(EVENT_SUBJECT, 5);
  await using view = openView();
  await untilObserved(view, STREAM, 5);
  await nats.kill('SIGKILL');
  await nats.restart();
  await publish(EVENT_SUBJECT, 5);
  await untilObserved(view, STREAM, 10);
});
