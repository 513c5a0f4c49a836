/** A spool with a publisher on a real NATS server, for the tests of this folder and its neighbours. */

import {
  EVENT_SUBJECT,
  ensureStreams,
  isStreamMissing,
  STREAM,
  type StreamSettings,
} from '@edge-migration/contract/streams/events.ts';
import { type WriteEvent, writeEvent } from '@edge-migration/contract/write-event.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { createLogger, type Logger } from '@edge-migration/runtime/logger.ts';
import { type NatsSettings, natsSettings } from '@edge-migration/runtime/nats/connection.ts';
import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { createSpool, type Spool, type SpoolOptions } from '../spool/spool.ts';
import { draft } from '../spool/testing.ts';
import { Publisher } from './publisher.ts';

const STREAMS: StreamSettings = {
  streamReplicas: 1,
  streamMaxBytes: 64 * 1024 * 1024,
  streamDuplicateWindowSeconds: 120,
};

export const silent = createLogger('test', 'fatal');

/** A separate connection of an administrator. */
export async function administrate<T>(
  url: string,
  work: (manager: JetStreamManager) => Promise<T>,
  credentials: { user?: string; pass?: string } = {},
): Promise<T> {
  const connection = await connect({ servers: url, ...credentials });
  try {
    return await work(await jetstreamManager(connection, { checkAPI: false, timeout: 60_000 }));
  } finally {
    await connection.close();
  }
}

export const makeStreams = (url: string, credentials?: { user: string; pass: string }) =>
  administrate(url, (manager) => ensureStreams(manager, STREAMS), credentials);

/** The write events in the stream, in its order; none when it is missing. */
export function eventsIn(url: string): Promise<WriteEvent[]> {
  return administrate(url, async (manager) => {
    const events: WriteEvent[] = [];
    try {
      const { state } = await manager.streams.info(STREAM);
      for (let sequence = state.first_seq; sequence <= state.last_seq; sequence++) {
        const message = await manager.streams.getMessage(STREAM, { seq: sequence });
        if (message?.subject === EVENT_SUBJECT) events.push(writeEvent.parse(message.json()));
      }
    } catch (error) {
      if (!isStreamMissing(error)) throw error;
    }
    return events;
  });
}

export interface Rig extends AsyncDisposable {
  readonly spool: Spool;
  readonly publisher: Publisher;
  /** Requests about identities `<prefix>-0`, `<prefix>-1`, …, one after the other. */
  write(prefix: string, count: number): Promise<string[]>;
  /** Resolves when the stream acknowledged everything. */
  sent(): Promise<void>;
}

export interface RigOptions {
  spool?: Partial<SpoolOptions>;
  nats?: Partial<NatsSettings>;
  answerTimeoutMs?: number;
  apiPrefix?: string;
  logger?: Logger;
}

export async function createRig(url: string, directory: string, options: RigOptions = {}): Promise<Rig> {
  const { answerTimeoutMs = 1000, apiPrefix, logger = silent } = options;
  const clock = systemClock;
  const spool = createSpool({
    directory,
    clock,
    instance: 'api-1/uid-1',
    limitBytes: 64 * 1024 * 1024,
    safetyMs: 60_000,
    sync: 'none',
    onReady: () => publisher.wake(),
    onError: () => undefined,
    ...options.spool,
  });
  const settings = { ...parseNats(url), ...options.nats };
  const publisher = new Publisher({
    settings,
    name: 'test',
    spool,
    clock,
    logger,
    ...(apiPrefix && { apiPrefix }),
    answerTimeoutMs,
    rewindIntervalMs: 500,
  });
  const stop = new AbortController();
  await spool.open();
  await spool.recover();
  const running = publisher.run(stop.signal).catch((error: unknown) => error);
  return {
    spool,
    publisher,
    async write(prefix, count) {
      const names = Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
      for (const name of names) (await spool.begin([draft(name)])).finish({ outcome: 'known' });
      return names;
    },
    sent: async () =>
      void (await waitFor(() => spool.facts().depth === 0, { for: 'the spool to be sent', timeoutMs: 90_000 })),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
      await spool.close();
    },
  };
}

/** The settings of a client without credentials. */
function parseNats(url: string): NatsSettings {
  return { natsServers: natsSettings.natsServers.parse(url), natsTlsFirst: false };
}

export function namesOf(events: readonly WriteEvent[]): string[] {
  return events.map(({ target }) => (target.kind === 'identity' ? target.identifier : '')).sort();
}
