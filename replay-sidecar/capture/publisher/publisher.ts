import { SENT_HEADER } from '@edge-migration/contract/event-times.ts';
import { EVENT_SUBJECT, isStreamMissing } from '@edge-migration/contract/streams/events.ts';
import { STREAM } from '@edge-migration/contract/write-event.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { connectNats, type NatsSettings } from '@edge-migration/runtime/nats/connection.ts';
import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Delivery } from '../spool/outbox.ts';
import type { Spool } from '../spool/spool.ts';
import {
  type AcknowledgedPublisher,
  type Acknowledgement,
  createAcknowledgedPublisher,
  DisconnectedError,
  type HeaderFields,
  StreamRefusedError,
} from './acknowledgements.ts';
import { createPace } from './pace.ts';

export interface PublisherOptions {
  settings: NatsSettings;
  /** Where the sidecar's account has JetStream's API; `$JS.API` by default. */
  apiPrefix?: string;
  /** Shown in NATS's list of connections. */
  name: string;
  spool: Pick<Spool, 'outbox' | 'observeStream' | 'observeLoss' | 'observeAnswer' | 'observeDoubt'>;
  clock: Clock;
  logger: Logger;
  /** For the messages under way; after it a message counts as unanswered. */
  answerTimeoutMs?: number;
  /** A rewind publishes minutes of events again; a flapping connection must not multiply them. */
  rewindIntervalMs?: number;
}

interface PublisherCounts {
  published: number;
  /** By the error's name. */
  failed: Record<string, number>;
  rewinds: number;
  connects: number;
}

export interface Publisher {
  /** Connects and publishes what the spool hands out, until the signal is aborted. Rejects only with its reason. */
  run(signal: AbortSignal): Promise<void>;
  /** The spool has something. */
  wake(): void;
  /**
   * Publishes a test event to the stream of events.
   *
   * @throws DisconnectedError, NoStreamError, StreamRefusedError, NoAnswerError
   */
  probe(subject: string, payload: string, fields: HeaderFields): Promise<Acknowledgement>;
  /**
   * Publishes to another stream.
   *
   * @throws DisconnectedError, NoStreamError, StreamRefusedError, NoAnswerError
   */
  publish(subject: string, payload: string): Promise<Acknowledgement>;
  readonly connected: boolean;
  readonly counts: Readonly<PublisherCounts>;
}

const TICK_MS = 200;
/** Events wait so long for each other: a write to NATS's socket costs more than an event. */
const BATCH_MS = 10;
/** Under way at once. Bounds memory, and what is published twice after a reconnect. */
const WINDOW = 512;
const WINDOW_CHARACTERS = 1024 * 1024;

/**
 * Publishes events with their ids as `Nats-Msg-Id`, many under way at once, each until the stream has it.
 *
 * An acknowledgement is no promise: NATS forces its files to the disk every two minutes by default, so a server that
 * goes down may take acknowledged messages with it. Whenever that could have happened (a reconnect, no answer, no
 * stream, sequence numbers that were given out before) everything still in the spool is published again; the stream
 * recognises ids within its duplicate window, and applying an event twice changes nothing.
 */
export function createPublisher(options: PublisherOptions): Publisher {
  const { name, spool, clock, logger, apiPrefix, answerTimeoutMs = 5000, rewindIntervalMs = 30_000 } = options;
  const counts: PublisherCounts = { published: 0, failed: {}, rewinds: 0, connects: 0 };
  const pace = createPace(clock);
  let link: { connection: NatsConnection; messages: AcknowledgedPublisher } | undefined;
  let connected = false;
  /** Published and failed; they go first. */
  let retries: Delivery[] = [];
  let underWay = 0;
  let charactersUnderWay = 0;
  /** Messages published under an earlier generation are not waited for: they will come again. */
  let generation = 0;
  let doubted = false;
  let lastRewind = Number.NEGATIVE_INFINITY;
  let lastSequence = 0;
  let batch: NodeJS.Timeout | undefined;

  function wake(): void {
    batch ??= setTimeout(pump, BATCH_MS).unref();
  }

  function pump(): void {
    clearTimeout(batch);
    batch = undefined;
    const window = pace.allows(WINDOW);
    while (connected && underWay < window && charactersUnderWay < WINDOW_CHARACTERS) {
      const delivery = retries.pop() ?? spool.outbox.next();
      if (delivery === undefined) return;
      send(delivery);
    }
  }

  function send(delivery: Delivery): void {
    const sentIn = generation;
    underWay += 1;
    charactersUnderWay += delivery.json.length;
    const settled = () => {
      if (sentIn !== generation) return false;
      underWay -= 1;
      charactersUnderWay -= delivery.json.length;
      return true;
    };
    store(
      EVENT_SUBJECT,
      delivery.json,
      { 'Nats-Msg-Id': [delivery.id], [SENT_HEADER]: [String(clock.now())] },
      {
        stored({ sequence }) {
          if (!settled()) return;
          counts.published += 1;
          spool.outbox.acknowledge(delivery, sequence);
          wake();
        },
        failed() {
          if (settled()) retries.push(delivery);
        },
      },
    );
  }

  /** Publishes to the stream of events and learns from the answer. */
  function store(
    subject: string,
    payload: string,
    fields: HeaderFields,
    settle: Parameters<AcknowledgedPublisher['publish']>[3],
  ): void {
    const before = lastSequence;
    link!.messages.publish(subject, payload, fields, {
      stored(acknowledgement) {
        if (acknowledgement.stream !== STREAM) {
          refuse(new StreamRefusedError(`Stream ${acknowledgement.stream} took it`));
          return;
        }
        pace.succeeded();
        // A duplicate's sequence is that of the first one, which proves that the stream still knows it.
        if (!acknowledgement.duplicate) observeSequence(acknowledgement.sequence, before);
        if (!doubted) spool.observeAnswer();
        settle.stored(acknowledgement);
      },
      failed: refuse,
    });

    function refuse(error: Error): void {
      counts.failed[error.name] = (counts.failed[error.name] ?? 0) + 1;
      pace.failed();
      // A refusal is an answer: the stream is there, and knows what it took.
      if (!(error instanceof StreamRefusedError)) doubt();
      settle.failed(error);
    }
  }

  /** @param before the highest sequence known when the message was sent: its own must be higher */
  function observeSequence(sequence: number, before: number): void {
    if (sequence <= before && sequence < lastSequence) {
      loseFrom(sequence);
      doubt();
    }
    lastSequence = Math.max(lastSequence, sequence);
  }

  /** What is in the spool is published again before any of it may go. */
  function doubt(): void {
    doubted = true;
    spool.observeDoubt();
  }

  /** The stream has nothing from this sequence on. A new process learns it, too: the spool knows what it relies on. */
  function loseFrom(sequence: number): void {
    spool.observeLoss(sequence);
    if (sequence > lastSequence) return;
    logger.warn({ sequence, lastSequence }, 'the stream lost acknowledged events');
    lastSequence = sequence;
  }

  /** Once the way to the stream is known to work again. */
  async function settleDoubt(connection: NatsConnection): Promise<void> {
    if (!doubted || pace.isFailing() || clock.monotonic() - lastRewind < rewindIntervalMs) return;
    doubted = false;
    await inspectStream(connection);
    lastRewind = clock.monotonic();
    counts.rewinds += 1;
    generation += 1;
    underWay = 0;
    charactersUnderWay = 0;
    retries = [];
    spool.outbox.rewind();
  }

  async function inspectStream(connection: NatsConnection): Promise<void> {
    try {
      const manager = await jetstreamManager(connection, { checkAPI: false, ...(apiPrefix && { apiPrefix }) });
      const { created, state } = await manager.streams.info(STREAM);
      spool.observeStream(created);
      loseFrom(state.last_seq + 1);
    } catch (error) {
      // Sequence numbers still tell most losses. A missing stream shows with the next publish.
      if (!isStreamMissing(error)) logger.warn({ err: error }, 'the stream cannot be inspected');
    }
  }

  async function onConnected(connection: NatsConnection): Promise<void> {
    // Before the first connection nothing was acknowledged, so nothing can be lost.
    const isFirst = counts.connects === 0;
    counts.connects += 1;
    pace.succeeded();
    if (isFirst) await inspectStream(connection);
    else {
      doubt();
      await settleDoubt(connection);
    }
    connected = true;
    logger.info({ server: connection.getServer() }, 'connected to NATS');
    pump();
  }

  function onDisconnected(): void {
    if (connected) logger.warn('disconnected from NATS; events wait in the spool');
    connected = false;
    spool.observeDoubt();
    link?.messages.failAll(new DisconnectedError('The connection was lost'));
  }

  async function watch(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect') onDisconnected();
      else if (status.type === 'reconnect') await onConnected(connection);
      else if (status.type === 'error') logger.warn({ err: status.error }, 'NATS reports an error');
    }
  }

  async function tickWhileOpen(connection: NatsConnection, signal: AbortSignal): Promise<void> {
    while (!connection.isClosed()) {
      await clock.sleep(TICK_MS, signal);
      link?.messages.expire();
      if (connected) await settleDoubt(connection);
      pump();
    }
  }

  async function runConnection(signal: AbortSignal): Promise<void> {
    const onFailure = (error: unknown) => logger.warn({ err: error }, 'cannot connect to NATS');
    const connection = await connectNats(options.settings, { name, role: 'sidecar', clock, signal, onFailure });
    link = { connection, messages: createAcknowledgedPublisher(connection, clock, answerTimeoutMs) };
    const watching = watch(connection);
    try {
      await onConnected(connection);
      await tickWhileOpen(connection, signal);
    } finally {
      onDisconnected();
      link.messages.close();
      await connection.close();
      await watching;
    }
  }

  return {
    async run(signal) {
      for (;;) await runConnection(signal);
    },
    wake,
    probe(subject, payload, fields) {
      return new Promise((stored, failed) => {
        if (connected) store(subject, payload, fields, { stored, failed });
        else failed(new DisconnectedError('Not connected'));
      });
    },
    publish(subject, payload) {
      return new Promise((stored, failed) => {
        if (connected) link!.messages.publish(subject, payload, {}, { stored, failed });
        else failed(new DisconnectedError('Not connected'));
      });
    },
    get connected() {
      return connected;
    },
    counts,
  };
}
