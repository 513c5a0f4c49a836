import { MAX_MESSAGE_BYTES } from '@edge-migration/contract/streams/events.ts';
import { type Clock, type Moment, mostSince } from '@edge-migration/runtime/clock.ts';
import type { JsMsg } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { isDoubted } from './delivery.ts';
import { createForgottenDeliveries, type ForgottenDeliveries } from './forgotten-deliveries.ts';
import { createOwnNaks, type OwnNaks } from './own-naks.ts';

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

/** What one event of the window may take; larger ones count as several. */
export const BYTES_PER_EVENT = 4096;
/** Share of the window that may be taken while more is fetched. */
const FETCH_BELOW = 7 / 8;

/** The way that a message came: by this connection to the server, and before anything happened to the stream. */
export interface Link {
  readonly server: string;
  readonly client: number;
  readonly round: number;
}

export interface InFlightOptions {
  readonly connection: Pick<NatsConnection, 'info' | 'isClosed' | 'flush'>;
  readonly ackWaitMs: number;
  /** Events in hand at most. */
  readonly window: number;
  /** For so long a write that was sent may still arrive. */
  readonly lateWriteMs: number;
  readonly clock: Clock;
}

/**
 * All that is in hand.
 *
 * NATS acknowledges by sequence alone. A server that was down may have lost the end of the stream, or come back with an
 * earlier copy of it, and given the sequence to another event since. So what came before a reconnect, or before the
 * stream could not be fetched from, is let go of without an answer, and comes again.
 */
export class InFlight {
  readonly held = new Set<HeldMessage>();
  readonly clock: Clock;
  readonly ackWaitMs: number;
  readonly ownNaks: OwnNaks;
  readonly forgotten: ForgottenDeliveries;
  private readonly connection: InFlightOptions['connection'];
  private readonly window: number;
  private bytes = 0;
  private round = 0;
  private isConnected = true;
  private flushing: Promise<void> | undefined;

  constructor({ connection, ackWaitMs, window, lateWriteMs, clock }: InFlightOptions) {
    this.connection = connection;
    this.ackWaitMs = ackWaitMs;
    this.window = window;
    this.clock = clock;
    this.ownNaks = createOwnNaks(window);
    this.forgotten = createForgottenDeliveries(clock, lateWriteMs);
  }

  isCurrent(link: Link): boolean {
    const { server_id, client_id } = this.connection.info ?? {};
    const isSame = link.round === this.round && link.client === client_id && link.server === server_id;
    return isSame && !this.connection.isClosed();
  }

  /** By which messages come now; undefined while there is no connection, or no room. */
  openLink(): Link | undefined {
    this.dropStale();
    const { server_id, client_id } = this.connection.info ?? {};
    if (!this.isConnected || server_id === undefined || client_id === undefined) return undefined;
    const isFull = this.held.size > FETCH_BELOW * this.window || this.bytes > this.mostBytes();
    return isFull ? undefined : { server: server_id, client: client_id, round: this.round };
  }

  /** As many messages as there is room for, however large they are: they come all at once. */
  room(): number {
    const { window, held, bytes } = this;
    return Math.max(1, Math.min(window - held.size, Math.floor((this.mostBytes() - bytes) / MAX_MESSAGE_BYTES)));
  }

  /** @param claimed since then at least it is ours */
  hold(message: JsMsg, link: Link, claimed: Moment): InFlightMessage {
    const one = new HeldMessage(this, message, link, claimed);
    this.held.add(one);
    this.bytes += message.data.length;
    return one;
  }

  /** @returns false for one that is not in hand any more */
  letGo(one: HeldMessage): boolean {
    if (!this.held.delete(one)) return false;
    this.bytes -= one.message.data.length;
    return true;
  }

  /** Nothing that is in hand now is answered. */
  dropAll(): void {
    this.round += 1;
    this.ownNaks.forget();
    this.dropStale();
  }

  /** Lets go of what came by another way than the present one. */
  dropStale(): void {
    for (const one of this.held) if (!this.isCurrent(one.link)) this.letGo(one);
  }

  /** Lets go of what another process may have by now. */
  dropLapsed(): void {
    for (const one of this.held) if (one.left() <= 0) this.letGo(one);
  }

  noteConnected(isConnected: boolean): void {
    this.isConnected = isConnected;
  }

  /** Resolves when the server has read what was sent up to now; many ask at the same time. */
  flushSoon(): Promise<void> {
    this.flushing ??= Promise.resolve().then(() => {
      this.flushing = undefined;
      return this.connection.flush();
    });
    return this.flushing;
  }

  /** That may be in hand while more is fetched. */
  private mostBytes(): number {
    return FETCH_BELOW * this.window * BYTES_PER_EVENT;
  }
}

/** One of them. Thousands are in hand at once, so they share their functions. */
class HeldMessage implements InFlightMessage {
  readonly message: JsMsg;
  readonly delivered: number;
  readonly link: Link;
  private readonly all: InFlight;
  /** Since then at least it is ours, as far as is certain. */
  private claimed: Moment;
  private doubtful: boolean;
  private shared: boolean;

  constructor(all: InFlight, message: JsMsg, link: Link, claimed: Moment) {
    this.all = all;
    this.message = message;
    this.delivered = all.clock.monotonic();
    this.link = link;
    this.claimed = claimed;
    this.shared = message.redelivered && !all.ownNaks.isNextDelivery(message);
    const isForgotten = !message.redelivered && all.forgotten.includes(message.seq);
    this.doubtful = this.shared || isDoubted(message) || isForgotten;
  }

  left(): number {
    return this.all.ackWaitMs - mostSince(this.all.clock, this.claimed);
  }

  claim(moment: Moment): void {
    if (this.left() > 0) this.claimed = moment;
  }

  doubt(): void {
    this.doubtful = true;
  }

  isDoubtful(): boolean {
    return this.doubtful;
  }

  settle(): void {
    this.doubtful = false;
    this.shared = false;
  }

  isShared(): boolean {
    return this.shared;
  }

  isOpen(): boolean {
    return this.all.held.has(this) && this.all.isCurrent(this.link);
  }

  ack(): void {
    if (this.close()) this.message.ack();
  }

  nak(milliseconds: number): void {
    if (!this.close()) return;
    this.message.nak(Math.max(1, Math.round(milliseconds)));
    if (!this.doubtful) this.all.flushSoon().then(this.all.ownNaks.remember(this.message), () => {});
  }

  /** @returns whether it may be answered */
  private close(): boolean {
    return this.all.letGo(this) && this.all.isCurrent(this.link) && this.left() > 0;
  }
}
