import { SENT_HEADER } from '@edge-migration/contract/event-times.ts';
import { EVENT_SUBJECT } from '@edge-migration/contract/streams/events.ts';
import { STREAM } from '@edge-migration/contract/write-event.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { connectNats, type NatsSettings } from '@edge-migration/runtime/nats/connection.ts';
import { PUBLISHER_TICK_MS } from '@edge-migration/runtime/policies.ts';
import type { NatsConnection } from '@nats-io/transport-node';
import type { OutboxEvent } from '../spool/outbox.ts';
import type { Spool } from '../spool/spool.ts';
import {
  type AcknowledgedPublisher,
  type Acknowledgement,
  createAcknowledgedPublisher,
  DisconnectedError,
  type HeaderFields,
  StreamRefusedError,
} from './acknowledgements.ts';
import { Flight, MOST_UNDER_WAY } from './flight.ts';
import { createPace, type Pace } from './pace.ts';
import { StreamTrust } from './stream-trust.ts';

export interface PublisherOptions {
  settings: NatsSettings;
  /** Where the sidecar's account has JetStream's API; `$JS.API` by default. */
  apiPrefix?: string;
  /** Shown in NATS's list of connections. */
  name: string;
  spool: Pick<Spool, 'outbox' | 'observeStream' | 'observeLoss' | 'observeAnswer' | 'observeDoubt'>;
  clock: Clock;
  logger: Logger;
  /** For the messages under way; after this time a message counts as unanswered. */
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

/** How long events wait for each other: a write to NATS's socket costs more than an event. */
const BATCH_MS = 10;

interface Link {
  readonly connection: NatsConnection;
  readonly messages: AcknowledgedPublisher;
}

type Settle = Parameters<AcknowledgedPublisher['publish']>[3];

/**
 * Publishes events with their ids as `Nats-Msg-Id`, many under way at once, each until the stream has it, and all of
 * them again where it may have lost them. The stream recognises ids within its duplicate window, and applying an event
 * twice changes nothing.
 */
export class Publisher {
  private readonly options: PublisherOptions;
  private readonly totals: PublisherCounts = { published: 0, failed: {}, rewinds: 0, connects: 0 };
  private readonly pace: Pace;
  private readonly trust: StreamTrust;
  private readonly flight = new Flight();
  private link: Link | undefined;
  private isConnected = false;
  private batch: NodeJS.Timeout | undefined;

  constructor(options: PublisherOptions) {
    const { spool, clock, logger, apiPrefix, rewindIntervalMs = 30_000 } = options;
    this.options = options;
    this.pace = createPace(clock);
    this.trust = new StreamTrust({ spool, clock, logger, apiPrefix, rewindIntervalMs });
  }

  get connected(): boolean {
    return this.isConnected;
  }

  get counts(): Readonly<PublisherCounts> {
    return this.totals;
  }

  /** Connects and publishes what the spool hands out, until the signal aborts. Rejects only with its reason. */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) await this.runConnection(signal);
  }

  /** The spool has something. */
  wake(): void {
    this.batch ??= setTimeout(() => this.pump(), BATCH_MS).unref();
  }

  /**
   * Publishes a test event to the stream of events.
   *
   * @throws DisconnectedError, NoStreamError, StreamRefusedError, NoAnswerError
   */
  probe(subject: string, payload: string, fields: HeaderFields): Promise<Acknowledgement> {
    return this.whileConnected((link, settle) => this.store(link, subject, payload, fields, settle));
  }

  /**
   * Publishes to another stream.
   *
   * @throws DisconnectedError, NoStreamError, StreamRefusedError, NoAnswerError
   */
  publish(subject: string, payload: string): Promise<Acknowledgement> {
    return this.whileConnected(({ messages }, settle) => messages.publish(subject, payload, {}, settle));
  }

  private whileConnected(send: (link: Link, settle: Settle) => void): Promise<Acknowledgement> {
    return new Promise((stored, failed) => {
      if (this.link !== undefined && this.isConnected) send(this.link, { stored, failed });
      else failed(new DisconnectedError('not connected'));
    });
  }

  private pump(): void {
    clearTimeout(this.batch);
    this.batch = undefined;
    const { link, flight } = this;
    const most = this.pace.allows(MOST_UNDER_WAY);
    while (link !== undefined && this.isConnected && flight.hasRoom(most)) {
      const delivery = flight.takeFailed() ?? this.options.spool.outbox.next();
      if (delivery === undefined) return;
      this.send(link, delivery);
    }
  }

  private send(link: Link, delivery: OutboxEvent): void {
    const { spool, clock } = this.options;
    const end = this.flight.begin(delivery);
    const fields = { 'Nats-Msg-Id': [delivery.id], [SENT_HEADER]: [String(clock.now())] };
    this.store(link, EVENT_SUBJECT, delivery.json, fields, {
      stored: ({ sequence }) => {
        if (!end()) return;
        this.totals.published += 1;
        spool.outbox.acknowledge(delivery, sequence);
        this.wake();
      },
      failed: () => {
        if (end()) this.flight.fail(delivery);
      },
    });
  }

  /** Publishes to the stream of events and learns from the answer. */
  private store({ messages }: Link, subject: string, payload: string, fields: HeaderFields, settle: Settle): void {
    const before = this.trust.highest;
    const refuse = (error: Error) => {
      this.noteRefusal(error);
      settle.failed(error);
    };
    messages.publish(subject, payload, fields, {
      stored: (acknowledgement) => {
        if (acknowledgement.stream !== STREAM) {
          refuse(new StreamRefusedError(`the message was stored in stream ${acknowledgement.stream}`));
          return;
        }
        this.pace.succeeded();
        this.trust.observeAnswer(acknowledgement, before);
        settle.stored(acknowledgement);
      },
      failed: refuse,
    });
  }

  private noteRefusal(error: Error): void {
    const { failed } = this.totals;
    failed[error.name] = (failed[error.name] ?? 0) + 1;
    this.pace.failed();
    // A refusal is an answer: the stream is there, and knows what it took.
    if (!(error instanceof StreamRefusedError)) this.trust.doubt();
  }

  /** Runs once the way to the stream is known to work again. */
  private async settleDoubt(connection: NatsConnection): Promise<void> {
    if (this.pace.isFailing()) return;
    await this.trust.settle(connection, () => {
      this.totals.rewinds += 1;
      this.flight.forgetAll();
      this.options.spool.outbox.rewind();
    });
  }

  private async onConnected(connection: NatsConnection): Promise<void> {
    // Before the first connection nothing was acknowledged, so nothing can be lost.
    const isFirst = this.totals.connects === 0;
    this.totals.connects += 1;
    this.pace.succeeded();
    if (isFirst) await this.trust.inspect(connection);
    else {
      this.trust.doubt();
      await this.settleDoubt(connection);
    }
    this.isConnected = true;
    this.options.logger.info({ server: connection.getServer() }, 'connected to NATS');
    this.pump();
  }

  private onDisconnected(): void {
    const { spool, logger } = this.options;
    if (this.isConnected) logger.warn('disconnected from NATS; events wait in the spool');
    this.isConnected = false;
    spool.observeDoubt();
    this.link?.messages.failAll(new DisconnectedError('the connection was lost'));
  }

  private async watch(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect') this.onDisconnected();
      else if (status.type === 'reconnect') await this.onConnected(connection);
      else if (status.type === 'error') this.options.logger.warn({ err: status.error }, 'NATS reports an error');
    }
  }

  private async tickWhileOpen({ connection, messages }: Link, signal: AbortSignal): Promise<void> {
    while (!connection.isClosed()) {
      await this.options.clock.sleep(PUBLISHER_TICK_MS, signal);
      messages.expire();
      if (this.isConnected) await this.settleDoubt(connection);
      this.pump();
    }
  }

  private async runConnection(signal: AbortSignal): Promise<void> {
    const { settings, name, clock, logger, answerTimeoutMs = 5000 } = this.options;
    const onFailure = (error: unknown) => logger.warn({ err: error }, 'cannot connect to NATS');
    const connection = await connectNats(settings, { name, role: 'sidecar', clock, signal, onFailure });
    const messages = createAcknowledgedPublisher(connection, clock, answerTimeoutMs);
    this.link = { connection, messages };
    const watching = this.watch(connection);
    try {
      await this.onConnected(connection);
      await this.tickWhileOpen(this.link, signal);
    } finally {
      this.onDisconnected();
      messages.close();
      await connection.close();
      await watching;
    }
  }
}
