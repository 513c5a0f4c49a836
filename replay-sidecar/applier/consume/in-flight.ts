import { MAX_MESSAGE_BYTES } from '@edge-migration/contract/streams/events.ts';
import { type Clock, type Moment, mostSince } from '@edge-migration/runtime/clock.ts';
import type { JsMsg } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { isDoubted } from './delivery.ts';
import { createForgottenDeliveries, type ForgottenDeliveries } from './forgotten-deliveries.ts';
import { createOwnNaks, type OwnNaks } from './own-naks.ts';

/** A message that was delivered to this process and is not answered yet. */
export interface InFlightMessage {
  readonly message: JsMsg;
  /** Of the message, which makes a new view of its bytes each time that it is asked. */
  readonly data: Uint8Array;
  /** Monotonic milliseconds. */
  readonly delivered: number;
  /** Not yet answered, and still to be. */
  isOpen(): boolean;
  /**
   * Milliseconds for which no other process gets it. Zero or less: another may have it by now. Nothing may be written
   * for it then, and {@link ack} and {@link nak} send nothing to NATS: their answer would count for that process.
   */
  left(): number;
  /** A write for it was sent and not answered, or may have been. */
  doubt(): void;
  /**
   * A write for it may still be carried out later, by this process or one that had it before. A message that this
   * process naked without such a write is not doubtful if no other process had it since.
   */
  isDoubtful(): boolean;
  /** Enough time has passed for such a write, and for an earlier answer, to have arrived if they ever do. */
  settle(): void;
  /** It was delivered before: an answer to that may still come, and would count for this one. */
  isShared(): boolean;
  /** It is done, for all replicas. */
  ack(): void;
  /** It is to be delivered again, to any replica, after this time. */
  nak(milliseconds: number): void;
}

/** Room that one event of the window may take; larger ones count as several. */
export const BYTES_PER_EVENT = 4096;
/** Share of the window that may be taken while more is fetched. */
const FETCH_BELOW = 7 / 8;

/** How a message came: over this connection to the server, and before anything happened to the stream. */
export interface Link {
  readonly server: string;
  readonly client: number;
  readonly round: number;
}

export interface InFlightOptions {
  readonly connection: Pick<NatsConnection, 'info' | 'isClosed' | 'flush'>;
  readonly ackWaitMs: number;
  /** Most events in flight. */
  readonly window: number;
  /** Time within which a write that was sent may still arrive. */
  readonly lateWriteMs: number;
  readonly clock: Clock;
}

/**
 * Everything in flight.
 *
 * NATS acknowledges by sequence alone. A server that was down may have lost the end of the stream, or come back with an
 * earlier copy of it, and have given the sequence to another event since. So messages from before a reconnect, or from
 * before the stream could not be fetched from, are let go of without an answer, and come again.
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
  /** Everything in flight came by this link, as long as it is the present one. */
  private sweptFor: Link | undefined;
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

  /** The link of new messages; undefined while there is no connection, or no room. */
  openLink(): Link | undefined {
    this.dropStale();
    const isFull = this.held.size > FETCH_BELOW * this.window || this.bytes > this.mostBytes();
    return this.isConnected && !isFull ? this.presentLink() : undefined;
  }

  /** Room for messages of any size: they come all at once. */
  room(): number {
    const { window, held, bytes } = this;
    return Math.max(1, Math.min(window - held.size, Math.floor((this.mostBytes() - bytes) / MAX_MESSAGE_BYTES)));
  }

  /** @param claimed it is ours from then on at the latest */
  hold(message: JsMsg, link: Link, claimed: Moment): InFlightMessage {
    const one = new HeldMessage(this, message, link, claimed);
    this.held.add(one);
    this.bytes += one.data.length;
    return one;
  }

  /** @returns false if it is no longer in flight */
  letGo(one: HeldMessage): boolean {
    if (!this.held.delete(one)) return false;
    this.bytes -= one.data.length;
    return true;
  }

  /** Leaves everything in flight now unanswered. */
  dropAll(): void {
    this.round += 1;
    this.ownNaks.forget();
    this.dropStale();
  }

  /**
   * Lets go of what came by a link other than the present one. A link that has ended never comes back, and nothing is
   * held that comes by another than the present one.
   */
  dropStale(): void {
    if (this.sweptFor !== undefined && this.isCurrent(this.sweptFor)) return;
    for (const one of this.held) if (!this.isCurrent(one.link)) this.letGo(one);
    this.sweptFor = this.presentLink();
  }

  /** Lets go of what another process may have by now. */
  dropLapsed(): void {
    for (const one of this.held) if (one.left() <= 0) this.letGo(one);
  }

  noteConnected(isConnected: boolean): void {
    this.isConnected = isConnected;
  }

  /** Resolves when the server has read what was sent up to now; shared by concurrent callers. */
  flushSoon(): Promise<void> {
    this.flushing ??= Promise.resolve().then(() => {
      this.flushing = undefined;
      return this.connection.flush();
    });
    return this.flushing;
  }

  private presentLink(): Link | undefined {
    const { server_id, client_id } = this.connection.info ?? {};
    if (server_id === undefined || client_id === undefined) return undefined;
    return { server: server_id, client: client_id, round: this.round };
  }

  /** Most bytes in flight while more is fetched. */
  private mostBytes(): number {
    return FETCH_BELOW * this.window * BYTES_PER_EVENT;
  }
}

/** One message. Thousands are in flight at once, so they share their functions. */
class HeldMessage implements InFlightMessage {
  readonly message: JsMsg;
  readonly data: Uint8Array;
  readonly delivered: number;
  readonly link: Link;
  private readonly all: InFlight;
  /** It is ours from then on at the latest, as far as is certain. */
  private claimed: Moment;
  private doubtful: boolean;
  private shared: boolean;

  constructor(all: InFlight, message: JsMsg, link: Link, claimed: Moment) {
    this.all = all;
    this.message = message;
    this.data = message.data;
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
