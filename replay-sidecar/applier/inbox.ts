import type { Clock } from '@edge-migration/identity/clock.ts';
import type { Logger } from '@edge-migration/identity/logger.ts';
import { STREAM } from '@edge-migration/identity/write-event.ts';
import { type ConsumerInfo, type JetStreamClient, type JsMsg, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { type ApplierStreamSettings, CONSUMER, ensureApplierStreams } from './streams.ts';

/** A message that was delivered to this process and not yet answered. */
export interface Held {
  readonly message: JsMsg;
  /** Monotonic milliseconds. */
  readonly delivered: number;
  /** Not yet answered. */
  isOpen(): boolean;
  /** It is done with, for all replicas. */
  done(): void;
  /** It is to be delivered again, to any replica, after this time. */
  again(milliseconds: number): void;
}

export interface Inbox {
  /** Takes messages until the signal is aborted, and gives back what is in hand then. Rejects with its reason. */
  run(signal: AbortSignal, handle: (held: Held) => void): Promise<void>;
  readonly held: ReadonlySet<Held>;
}

export interface InboxOptions {
  connection: NatsConnection;
  settings: ApplierStreamSettings & { window: number };
  clock: Clock;
  log: Logger;
}

const FETCH_MILLIS = 1000;
/** What one event of the window may take; larger ones count as several. */
export const BYTES_PER_EVENT = 4096;
/** Share of the window that may be taken while more is fetched. */
const FETCH_BELOW = 7 / 8;
const LOOK_MILLIS = 5;
const RETRY_MILLIS = 1000;

/**
 * What this process has in hand of the stream of events: fetches while there is room, and speaks for whatever is held
 * longer, so that nobody else gets it meanwhile. Replicas compete; a message whose holder dies comes again.
 */
export function createInbox({ connection, settings, clock, log }: InboxOptions): Inbox {
  const held = new Set<Held>();
  let bytes = 0;

  /** Thousands are in hand at once, so they share their functions. */
  class HeldMessage implements Held {
    readonly message: JsMsg;
    readonly delivered = clock.monotonic();

    constructor(message: JsMsg) {
      this.message = message;
    }

    isOpen() {
      return held.has(this);
    }

    done() {
      if (this.#close()) this.message.ack();
    }

    again(milliseconds: number) {
      if (this.#close()) this.message.nak(Math.max(1, Math.round(milliseconds)));
    }

    #close(): boolean {
      if (!held.delete(this)) return false;
      bytes -= this.message.data.length;
      return !connection.isClosed();
    }
  }

  function hold(message: JsMsg): Held {
    const one = new HeldMessage(message);
    held.add(one);
    bytes += message.data.length;
    return one;
  }

  async function fetchOnce(client: JetStreamClient, signal: AbortSignal, handle: (held: Held) => void): Promise<void> {
    const consumer = client.consumers.getConsumerFromInfo(await infoOf(client));
    const most = FETCH_BELOW * settings.window;
    for (;;) {
      while (held.size > most || bytes > most * BYTES_PER_EVENT) await clock.sleep(LOOK_MILLIS, signal);
      signal.throwIfAborted();
      const messages = await consumer.fetch({ max_messages: settings.window - held.size, expires: FETCH_MILLIS });
      const stop = () => void messages.close();
      signal.addEventListener('abort', stop, { once: true });
      try {
        for await (const message of messages) handle(hold(message));
      } finally {
        signal.removeEventListener('abort', stop);
      }
    }
  }

  async function infoOf(client: JetStreamClient): Promise<ConsumerInfo> {
    const manager = await client.jetstreamManager(false);
    await ensureApplierStreams(manager, settings);
    return manager.consumers.info(STREAM, CONSUMER);
  }

  async function fetchAlways(signal: AbortSignal, handle: (held: Held) => void): Promise<never> {
    const client = jetstream(connection);
    let failing = false;
    for (;;) {
      try {
        await fetchOnce(client, signal, handle);
      } catch (error) {
        signal.throwIfAborted();
        if (!failing) log.warn({ err: error }, 'Events cannot be fetched; tried again until they can');
        failing = true;
        await clock.sleep(RETRY_MILLIS, signal);
      }
    }
  }

  async function speakUp(signal: AbortSignal): Promise<never> {
    const interval = (settings.ackWaitSeconds * 1000) / 3;
    for (;;) {
      await clock.sleep(interval, signal);
      const before = clock.monotonic() - interval / 2;
      if (!connection.isClosed()) for (const one of held) if (one.delivered < before) one.message.working();
    }
  }

  return {
    held,
    async run(signal, handle) {
      try {
        await Promise.all([fetchAlways(signal, handle), speakUp(signal)]);
      } finally {
        for (const one of held) one.again(1);
      }
    },
  };
}
