import type { Socket } from 'node:net';
import { Bytes } from './bytes.ts';
import type { Client } from './clients.ts';
import type { ProxyContext } from './context.ts';
import type { Timer } from './deadlines.ts';
import { Exchange } from './exchange.ts';
import { requestFraming } from './framing.ts';
import { FramingError } from './framing-error.ts';
import { findHeadEnd, parseRequest } from './head.ts';
import { answerOf, type RefusalStatus } from './refusal.ts';
import { writeMessage } from './write.ts';

/** The part of the proxy that answers the client at the moment. */
export interface ClientHandler {
  /** The client's bytes cannot be taken now. */
  readonly stalled: boolean;
  /** Nothing goes on until the client sends or reads. */
  readonly waitsForClient: boolean;
  /** `client.input` has more. */
  onClientData(): void;
  onClientDrain(): void;
  /** The client sends no more; it may still read. */
  onClientEnd(): void;
  /** The client can neither send nor read any more. */
  onClientGone(): void;
  stop(): void;
}

/** What is read ahead of a client, for the next request or while the current one waits. */
const READ_AHEAD = 16 * 1024;
const CR = 0x0d;
const LF = 0x0a;

/**
 * One client's connection: one request after the other, in order. The next head is read when the response before it is
 * complete, so anything that a message hides behind its end is only ever read as the next request.
 */
export class ClientConnection implements Client {
  readonly input = new Bytes();
  readonly address: string;
  /** The client sends no more. */
  ended = false;
  /** The connection is gone. */
  gone = false;
  /** No further request is accepted. */
  stopping = false;
  /** Since when it has been waiting for a request, reading one or having one answered; monotonic. */
  since = 0;
  private readonly context: ProxyContext;
  private readonly socket: Socket;
  private handler: ClientHandler | undefined;
  private scanned = 0;
  /** A request was complete before. */
  private served = false;
  /** Reading on only so that the last response is not lost to a reset. */
  private lingering = false;
  private deadline: Timer | undefined;

  private readonly onFinished: () => void;

  /** `onFinished`: the connection is gone and nothing is done for it any more. */
  constructor(context: ProxyContext, socket: Socket, onFinished: () => void) {
    this.context = context;
    this.socket = socket;
    this.onFinished = onFinished;
    this.address = socket.remoteAddress ?? 'unknown';
    // Nothing larger than a head waits here.
    this.input.expect(context.limits.headBytes + READ_AHEAD);
    socket.on('data', (bytes: Buffer) => this.onData(bytes));
    socket.on('drain', () => this.onDrain());
    socket.on('end', () => this.onEnd());
    // Always followed by 'close', where it is handled.
    socket.on('error', () => {});
    socket.on('close', () => this.onClose());
    this.waitForRequest();
  }

  /** False: wait for the drain before writing more. */
  write(text: string, bytes: Buffer | undefined): boolean {
    return this.gone || writeMessage(this.socket, text, bytes);
  }

  get standing(): Client['standing'] {
    const { socket, handler } = this;
    if (this.gone || socket.destroyed) return 'busy';
    if (handler === undefined && socket.writableLength > 0) return 'slow';
    if (this.lingering) return 'leaving';
    if (handler === undefined) return this.served && this.input.length === 0 ? 'idle' : 'asking';
    return handler.waitsForClient ? 'slow' : 'busy';
  }

  /** Gives way to other clients, unread; a request under way learns that its client is gone. */
  cut(): void {
    const { socket } = this;
    if (this.handler !== undefined || this.lingering || this.input.length === 0) {
      socket.destroy();
      return;
    }
    this.lingering = true;
    this.input.clear();
    socket.pause();
    socket.end(answerOf(408, 'Other clients need the room'), () => socket.destroy());
  }

  /** Goes on with the next request, or closes. */
  next(persist: boolean): void {
    this.handler = undefined;
    if (this.gone) {
      this.onFinished();
      return;
    }
    if (!persist || this.stopping) {
      this.close();
      return;
    }
    this.waitForRequest();
    if (this.input.length > 0 || this.ended) this.readHead();
    this.adjustFlow();
  }

  handOver(handler: ClientHandler): void {
    this.handler = handler;
  }

  /** Stops reading while the client's bytes cannot be used. */
  adjustFlow(): void {
    const { socket, handler } = this;
    const waits = handler !== undefined || socket.writableNeedDrain;
    const full = waits && (handler?.stalled === true || this.input.length > READ_AHEAD);
    if (full === socket.isPaused()) return;
    if (full) socket.pause();
    else socket.resume();
  }

  refuseFraming(error: FramingError): void {
    this.countRefusal(error.reason);
    this.refuse(error.reason === 'headTooLarge' ? 431 : 400, error.message);
  }

  /** Answers for the API and closes. */
  refuse(status: RefusalStatus, reason: string): void {
    this.write(answerOf(status, reason), undefined);
    this.close();
  }

  /** Sends no more; the client may. */
  end(): void {
    if (!this.gone) this.socket.end();
  }

  /** Closes in good order: the client can read what was sent, even while it still sends itself. */
  close(): void {
    this.handler = undefined;
    if (this.gone) {
      this.onFinished();
      return;
    }
    this.lingering = true;
    this.input.clear();
    this.context.clients.holdHead(this, 0);
    this.adjustFlow();
    // A client may take as long to read what was sent as it may be idle.
    this.expect(this.context.limits.idleClientMs, () => this.destroy());
    this.socket.end(() => {
      if (!this.gone) this.expect(this.context.limits.lingerMs, () => this.destroy());
    });
  }

  /** Shows the client that the API broke off. */
  reset(): void {
    this.handler = undefined;
    this.socket.resetAndDestroy();
  }

  destroy(): void {
    this.handler = undefined;
    this.socket.destroy();
  }

  /** Accepts no further request; `now`: does not wait for the current one either. */
  stop(now: boolean): void {
    this.stopping = true;
    if (now) {
      if (this.handler === undefined) this.destroy();
      else this.handler.stop();
    } else if (this.handler === undefined && this.input.length === 0 && !this.lingering) this.close();
  }

  private onData(bytes: Buffer): void {
    if (this.lingering) return;
    this.input.append(bytes);
    if (this.handler === undefined) this.readHead();
    else this.handler.onClientData();
    this.adjustFlow();
  }

  private onDrain(): void {
    if (this.handler !== undefined) {
      this.handler.onClientDrain();
    } else if (!this.lingering) {
      if (this.input.length > 0 || this.ended) this.readHead();
      this.adjustFlow();
    }
  }

  private onEnd(): void {
    this.ended = true;
    if (this.handler !== undefined) this.handler.onClientEnd();
    else if (!this.lingering && !this.socket.writableNeedDrain) this.socket.end();
  }

  private onClose(): void {
    this.gone = true;
    this.deadline?.cancel();
    if (this.handler === undefined) this.onFinished();
    else this.handler.onClientGone();
  }

  private waitForRequest(): void {
    const { clients, clock, limits } = this.context;
    this.since = clock.monotonic();
    clients.holdHead(this, 0);
    this.expect(limits.idleClientMs, () => this.close());
  }

  /** Replaces the deadline. */
  private expect(milliseconds: number, expire: () => void): void {
    this.deadline?.cancel();
    this.deadline = this.context.deadlines.set(milliseconds, expire);
  }

  private countRefusal(reason: FramingError['reason'] | 'headTooSlow' | 'headsTooLarge'): void {
    const { refused } = this.context.counters;
    refused[reason] = (refused[reason] ?? 0) + 1;
  }

  private readHead(): void {
    // Requests of a client that does not read wait until it does, so that their answers do not pile up here.
    if (this.socket.writableNeedDrain) return;
    this.skipEmptyLines();
    try {
      const view = this.input.view();
      const end = findHeadEnd(view, this.scanned);
      const { clients, clock, limits } = this.context;
      if (end < 0 ? view.length > limits.headBytes : end > limits.headBytes) throw new FramingError('headTooLarge');
      if (end < 0) {
        this.waitForHeadEnd();
        return;
      }
      this.scanned = 0;
      const request = parseRequest(view.toString('latin1', 0, end));
      const framing = requestFraming(request);
      this.input.consume(end);
      this.deadline?.cancel();
      this.served = true;
      this.since = clock.monotonic();
      // As text it is kept twice: as it came and as it is sent.
      if (!clients.holdHead(this, 2 * end)) {
        this.refuseLargeHeads();
        return;
      }
      const exchange = new Exchange(this.context, this, request, framing);
      this.handler = exchange;
      exchange.start();
    } catch (error) {
      if (!(error instanceof FramingError)) throw error;
      this.refuseFraming(error);
    }
  }

  private waitForHeadEnd(): void {
    if (this.ended) {
      this.close();
      return;
    }
    const { clients, clock, limits } = this.context;
    if (this.scanned === 0 && this.input.length > 0) {
      this.since = clock.monotonic();
      this.expect(limits.headMs, () => {
        this.countRefusal('headTooSlow');
        this.refuse(408, 'The request took too long');
      });
    }
    this.scanned = this.input.length;
    if (!clients.holdHead(this, this.input.capacity)) this.refuseLargeHeads();
  }

  private refuseLargeHeads(): void {
    this.countRefusal('headsTooLarge');
    this.refuse(431, 'Too many large heads at once');
  }

  /** Old clients send an empty line behind a body (RFC 9112, section 2.2). */
  private skipEmptyLines(): void {
    const view = this.input.view();
    let count = 0;
    while (view[count] === CR && view[count + 1] === LF) count += 2;
    if (count === 0) return;
    this.input.consume(count);
    this.scanned = 0;
  }
}
