import { type ApplierStreamSettings, ensureApplierStreams } from '@edge-migration/contract/streams/applier.ts';
import { MAX_MESSAGE_BYTES } from '@edge-migration/contract/streams/events.ts';
import { type Clock, type Moment, momentOf, mostSince } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import type { StoreClock } from '@edge-migration/runtime/nats/store-clock.ts';
import { FETCH_AGAIN_MS, ROOM_LOOK_MS } from '@edge-migration/runtime/policies.ts';
import { type ConsumerMessages, type JetStreamClient, type JsMsg, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { isDoubted } from './delivery.ts';
import { createForgottenDeliveries } from './forgotten-deliveries.ts';
import { createOwnNaks } from './own-naks.ts';
import type { Witness } from './witness.ts';

/** A message that was delivered to this process and not yet answered. */
export interface InFlightMessage {
  readonly message: JsMsg;
  /** Monotonic milliseconds. */
  readonly delivered: number;
  /** Not yet answered, and still to be. */
  isOpen(): boolean;
  /**
   * Milliseconds for which nobody else gets it. Zero or less: another process may have it by now. Nothing may be written
   * for it any more, and {@link ack} and {@link nak} say nothing to NATS: the answer would count for that process.
   */
  left(): number;
  /** A write for it was sent and not answered, or may have been. */
  doubt(): void;
  /**
   * A write for it may still be carried out at some later time: such a one, or one of a process that had it before. What
   * this process itself naked, in no doubt, is in none if nobody else had it since.
   */
  isDoubtful(): boolean;
  /** So much time has passed since that such a write has arrived, if it ever does, and so has an earlier answer. */
  settle(): void;
  /** It was delivered before: an answer to that may still come, and would count for this one. */
  isShared(): boolean;
  /** It is done with, for all replicas. */
  ack(): void;
  /** It is to be delivered again, to any replica, after this time. */
  nak(milliseconds: number): void;
}

export interface Consumer {
  /** Takes messages until the signal is aborted, and gives back what is in hand then. Rejects with its reason. */
  run(signal: AbortSignal, handle: (held: InFlightMessage) => void): Promise<void>;
  readonly held: ReadonlySet<InFlightMessage>;
  /** The stream is not the one that it was: nothing that is in hand now is answered. */
  drop(): void;
}

export interface InboxOptions {
  connection: NatsConnection;
  settings: ApplierStreamSettings & { window: number; lateWriteSeconds: number };
  /** Told the stream's time before the first event is taken. */
  store: Pick<StoreClock, 'notice'>;
  /** Told every message. */
  witness: Pick<Witness, 'see'>;
  clock: Clock;
  logger: Logger;
}

const FETCH_MS = 1000;
/** What one event of the window may take; larger ones count as several. */
export const BYTES_PER_EVENT = 4096;
/** Share of the window that may be taken while more is fetched. */
const FETCH_BELOW = 7 / 8;

/** The way that a message came: by this connection to the server, and before anything happened to the stream. */
interface Link {
  readonly server: string;
  readonly client: number;
  readonly round: number;
}

/**
 * What this process has in hand of the stream of events: fetches while there is room, and speaks for whatever is held
 * longer, so that nobody else gets it meanwhile. Replicas compete; a message whose holder dies or stands still comes
 * again, and is not answered by the one that stood still.
 *
 * NATS acknowledges by sequence alone. A server that was down may have lost the end of the stream, or come back with an
 * earlier copy of it, and given the sequence to another event since. So what came before a reconnect, or before the
 * stream could not be fetched from, is let go of without an answer, and comes again.
 */
export function createConsumer({ connection, settings, store, witness, clock, logger }: InboxOptions): Consumer {
  const ackWaitMs = settings.ackWaitSeconds * 1000;
  const held = new Set<HeldMessage>();
  /** That may be in hand while more is fetched. */
  const most = { messages: FETCH_BELOW * settings.window, bytes: FETCH_BELOW * settings.window * BYTES_PER_EVENT };
  let bytes = 0;
  let round = 0;
  let isConnected = true;
  let fetching: ConsumerMessages | undefined;
  let flushing: Promise<void> | undefined;
  /** Of what was fetched last. */
  let way: Link | undefined;
  const ownNaks = createOwnNaks(settings.window);
  const forgotten = createForgottenDeliveries(clock, 1000 * settings.lateWriteSeconds);

  function isCurrent(link: Link): boolean {
    const { server_id, client_id } = connection.info ?? {};
    return link.round === round && link.client === client_id && link.server === server_id && !connection.isClosed();
  }

  /** Undefined while there is no connection. */
  function linkNow(): Link | undefined {
    const { server_id, client_id } = connection.info ?? {};
    return !isConnected || server_id === undefined || client_id === undefined
      ? undefined
      : { server: server_id, client: client_id, round };
  }

  /** Thousands are in hand at once, so they share their functions. */
  class HeldMessage implements InFlightMessage {
    readonly message: JsMsg;
    readonly delivered = clock.monotonic();
    readonly #link: Link;
    /** Since then at least it is ours, as far as is certain. */
    #claimed: Moment;
    #doubtful: boolean;
    #shared: boolean;

    constructor(message: JsMsg, link: Link, claimed: Moment) {
      this.message = message;
      this.#link = link;
      this.#claimed = claimed;
      this.#shared = message.redelivered && !ownNaks.isNextDelivery(message);
      this.#doubtful = this.#shared || isDoubted(message) || (!message.redelivered && forgotten.includes(message.seq));
    }

    left() {
      return ackWaitMs - mostSince(clock, this.#claimed);
    }

    claim(moment: Moment) {
      if (this.left() > 0) this.#claimed = moment;
    }

    doubt() {
      this.#doubtful = true;
    }

    isDoubtful() {
      return this.#doubtful;
    }

    settle() {
      this.#doubtful = false;
      this.#shared = false;
    }

    isShared() {
      return this.#shared;
    }

    isOpen() {
      return held.has(this) && isCurrent(this.#link);
    }

    ack() {
      if (this.#close()) this.message.ack();
    }

    nak(milliseconds: number) {
      if (!this.#close()) return;
      this.message.nak(Math.max(1, Math.round(milliseconds)));
      if (!this.#doubtful) flushSoon().then(ownNaks.remember(this.message), () => {});
    }

    #close(): boolean {
      if (!held.delete(this)) return false;
      bytes -= this.message.data.length;
      return isCurrent(this.#link) && this.left() > 0;
    }

    dropIfLapsed() {
      if (this.left() <= 0) this.#close();
    }

    dropIfStale() {
      if (!isCurrent(this.#link)) this.#close();
    }
  }

  /** Resolves when the server has read what was sent up to now; many ask at the same time. */
  function flushSoon(): Promise<void> {
    flushing ??= Promise.resolve().then(() => {
      flushing = undefined;
      return connection.flush();
    });
    return flushing;
  }

  function dropStale(): void {
    for (const one of held) one.dropIfStale();
  }

  function hold(message: JsMsg, link: Link, claimed: Moment): InFlightMessage {
    const one = new HeldMessage(message, link, claimed);
    held.add(one);
    bytes += message.data.length;
    return one;
  }

  /** Once there is a connection, and room for more. */
  async function roomOn(signal: AbortSignal): Promise<Link> {
    for (;;) {
      signal.throwIfAborted();
      dropStale();
      const link = linkNow();
      if (link !== undefined && held.size <= most.messages && bytes <= most.bytes) return link;
      await clock.sleep(ROOM_LOOK_MS, signal);
    }
  }

  /** As many messages as there is room for, however large they are: they come all at once. */
  function room(): number {
    return Math.max(1, Math.min(settings.window - held.size, Math.floor((most.bytes - bytes) / MAX_MESSAGE_BYTES)));
  }

  async function fetchOnce(
    client: JetStreamClient,
    signal: AbortSignal,
    handle: (held: InFlightMessage) => void,
  ): Promise<void> {
    const manager = await client.jetstreamManager(false);
    const info = await ensureApplierStreams(manager, settings);
    store.notice(info.ts);
    const consumer = client.consumers.getConsumerFromInfo(info);
    for (;;) {
      const link = await roomOn(signal);
      if (way === undefined || !isCurrent(way)) {
        await forgotten.look(manager, info.name, way !== undefined && way.server !== link.server);
        if (!isCurrent(link)) continue;
        way = link;
      }
      // NATS counts from when it sends a message, and that may be long before it is read here.
      const asked = momentOf(clock);
      const messages = await consumer.fetch({ max_messages: room(), expires: FETCH_MS });
      fetching = messages;
      const stop = () => void messages.close();
      if (!isCurrent(link)) stop();
      signal.addEventListener('abort', stop, { once: true });
      try {
        for await (const message of messages) {
          witness.see({ sequence: message.seq, time: message.time.getTime() });
          // One that waited here while the connection broke has come by another way than the present one.
          if (isCurrent(link)) handle(hold(message, link, asked));
        }
      } finally {
        signal.removeEventListener('abort', stop);
      }
    }
  }

  function drop(): void {
    round += 1;
    ownNaks.forget();
    dropStale();
    // Whatever it still brings would be let go of, too.
    void fetching?.close();
  }

  /**
   * What is being fetched ends with the connection. The library would ask for it once more on the next one, and what came
   * by it then would be let go of until NATS has waited in vain for an answer.
   */
  async function followConnection(): Promise<void> {
    for await (const { type } of connection.status()) {
      if (type === 'reconnect') isConnected = true;
      if (type !== 'disconnect') continue;
      isConnected = false;
      drop();
    }
  }

  async function fetchAlways(signal: AbortSignal, handle: (held: InFlightMessage) => void): Promise<never> {
    const client = jetstream(connection);
    let failing = false;
    for (;;) {
      try {
        await fetchOnce(client, signal, handle);
      } catch (error) {
        signal.throwIfAborted();
        drop();
        if (!failing) logger.warn({ err: error }, 'events cannot be fetched; tried again until they can');
        failing = true;
        await clock.sleep(FETCH_AGAIN_MS, signal);
      }
    }
  }

  async function extendAckDeadlines(signal: AbortSignal): Promise<never> {
    const intervalMs = ackWaitMs / 3;
    for (;;) {
      await clock.sleep(intervalMs, signal);
      dropStale();
      for (const one of held) one.dropIfLapsed();
      const spoken = [...held].filter((one) => one.left() < ackWaitMs - intervalMs / 2);
      if (spoken.length === 0) continue;
      const moment = momentOf(clock);
      for (const one of spoken) one.message.working();
      // Once the server has answered it has read what was sent before.
      connection.flush().then(
        () => spoken.forEach((one) => void one.claim(moment)),
        () => {},
      );
    }
  }

  return {
    held,
    drop,
    async run(signal, handle) {
      // It ends with the connection.
      void followConnection();
      try {
        await Promise.all([fetchAlways(signal, handle), extendAckDeadlines(signal)]);
      } finally {
        for (const one of held) one.nak(1);
      }
    },
  };
}
