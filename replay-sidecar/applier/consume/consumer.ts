import { type ApplierStreamSettings, ensureApplierStreams } from '@edge-migration/contract/streams/applier.ts';
import { type Clock, momentOf } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import type { StoreClock } from '@edge-migration/runtime/nats/store-clock.ts';
import { FETCH_AGAIN_MS, ROOM_POLL_MS } from '@edge-migration/runtime/policies.ts';
import { type ConsumerMessages, type JetStreamClient, type JetStreamManager, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { InFlight, type InFlightMessage, type Link } from './in-flight.ts';
import type { Witness } from './witness.ts';

export interface ConsumerOptions {
  connection: NatsConnection;
  settings: ApplierStreamSettings & { window: number; lateWriteSeconds: number };
  /** Receives the stream's time before the first event is taken. */
  store: Pick<StoreClock, 'notice'>;
  /** Sees every message. */
  witness: Pick<Witness, 'see'>;
  clock: Clock;
  logger: Logger;
}

const FETCH_MS = 1000;

type Handle = (held: InFlightMessage) => void;

/**
 * This process's share of the stream of events: fetches while there is room, and speaks for messages that are held
 * longer, so that no other process gets them meanwhile. Replicas compete; a message whose holder dies or stalls comes
 * again, and is not answered by the stalled one.
 */
export class Consumer {
  private readonly options: ConsumerOptions;
  private readonly inFlight: InFlight;
  private fetching: ConsumerMessages | undefined;
  /** The link of the last fetch. */
  private way: Link | undefined;

  constructor(options: ConsumerOptions) {
    const { connection, settings, clock } = options;
    const { ackWaitSeconds, lateWriteSeconds, window } = settings;
    const [ackWaitMs, lateWriteMs] = [ackWaitSeconds * 1000, lateWriteSeconds * 1000];
    this.options = options;
    this.inFlight = new InFlight({ connection, ackWaitMs, window, lateWriteMs, clock });
  }

  get held(): ReadonlySet<InFlightMessage> {
    return this.inFlight.held;
  }

  /** Takes messages until the signal aborts, then gives back what is in flight. Rejects with its reason. */
  async run(signal: AbortSignal, handle: Handle): Promise<void> {
    // It ends with the connection.
    void this.followConnection();
    try {
      await Promise.all([this.fetchAlways(signal, handle), this.extendAckDeadlines(signal)]);
    } finally {
      for (const one of this.inFlight.held) one.nak(1);
    }
  }

  /** The stream is not the same any more: nothing in flight now is answered. */
  drop(): void {
    this.inFlight.dropAll();
    // Anything it still delivers would be let go of, too.
    void this.fetching?.close();
  }

  /**
   * A fetch ends with its connection. The library would repeat it on the next one, and its messages would be let go of
   * until NATS has waited in vain for an answer.
   */
  private async followConnection(): Promise<void> {
    for await (const { type } of this.options.connection.status()) {
      if (type === 'reconnect') this.inFlight.noteConnected(true);
      if (type !== 'disconnect') continue;
      this.inFlight.noteConnected(false);
      this.drop();
    }
  }

  private async fetchAlways(signal: AbortSignal, handle: Handle): Promise<never> {
    const { connection, clock, logger } = this.options;
    const client = jetstream(connection);
    let failing = false;
    for (;;) {
      try {
        await this.fetchWhilePossible(client, signal, handle);
      } catch (error) {
        signal.throwIfAborted();
        this.drop();
        if (!failing) logger.warn({ err: error }, 'events cannot be fetched; retrying');
        failing = true;
        await clock.sleep(FETCH_AGAIN_MS, signal);
      }
    }
  }

  private async fetchWhilePossible(client: JetStreamClient, signal: AbortSignal, handle: Handle): Promise<void> {
    const { settings, store, witness, clock } = this.options;
    const { inFlight } = this;
    const manager = await client.jetstreamManager(false);
    const info = await ensureApplierStreams(manager, settings);
    store.notice(info.ts);
    const consumer = client.consumers.getConsumerFromInfo(info);
    for (;;) {
      const link = await this.roomOn(signal);
      if (!(await this.prepare(link, manager, info.name))) continue;
      // NATS counts from when it sends a message, which may be long before it is read here.
      const asked = momentOf(clock);
      const messages = await consumer.fetch({ max_messages: inFlight.room(), expires: FETCH_MS });
      this.fetching = messages;
      const stop = () => void messages.close();
      if (!inFlight.isCurrent(link)) stop();
      signal.addEventListener('abort', stop, { once: true });
      try {
        for await (const message of messages) {
          const { streamSequence: sequence, timestampNanos } = message.info;
          witness.see({ sequence, time: Math.floor(timestampNanos / 1e6) });
          // A message that waited here while the connection broke came by another link than the present one.
          if (inFlight.isCurrent(link)) handle(inFlight.hold(message, link, asked));
        }
      } finally {
        signal.removeEventListener('abort', stop);
      }
    }
  }

  /** Asks what NATS may have forgotten, before the first fetch on a link. @returns false when that link is gone */
  private async prepare(link: Link, manager: JetStreamManager, name: string): Promise<boolean> {
    const { inFlight, way } = this;
    if (way !== undefined && inFlight.isCurrent(way)) return true;
    await inFlight.forgotten.check(manager, name, way !== undefined && way.server !== link.server);
    if (!inFlight.isCurrent(link)) return false;
    this.way = link;
    return true;
  }

  /** Resolves once there is a connection and room for more. */
  private async roomOn(signal: AbortSignal): Promise<Link> {
    for (;;) {
      signal.throwIfAborted();
      const link = this.inFlight.openLink();
      if (link !== undefined) return link;
      await this.options.clock.sleep(ROOM_POLL_MS, signal);
    }
  }

  private async extendAckDeadlines(signal: AbortSignal): Promise<never> {
    const { connection, clock } = this.options;
    const { inFlight } = this;
    const intervalMs = inFlight.ackWaitMs / 3;
    for (;;) {
      await clock.sleep(intervalMs, signal);
      inFlight.dropStale();
      inFlight.dropLapsed();
      const spoken = [...inFlight.held].filter((one) => one.left() < inFlight.ackWaitMs - intervalMs / 2);
      if (spoken.length === 0) continue;
      const moment = momentOf(clock);
      for (const one of spoken) one.message.working();
      // Once the server has answered, it has read what was sent before.
      connection.flush().then(
        () => spoken.forEach((one) => void one.claim(moment)),
        () => {},
      );
    }
  }
}
