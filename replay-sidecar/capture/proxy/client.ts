import type { Socket } from 'node:net';
import { Bytes } from './bytes.ts';
import type { ProxyContext } from './context.ts';
import type { Deadline } from './deadlines.ts';
import { Exchange } from './exchange.ts';
import { requestFraming } from './framing.ts';
import { FramingError } from './framing-error.ts';
import { findHeadEnd, parseRequest } from './head.ts';
import { writeMessage } from './write.ts';

/** Whoever answers the client at the moment. */
export interface ClientHandler {
  /** The client's bytes cannot be taken now. */
  readonly stalled: boolean;
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
const READ_AHEAD = 64 * 1024;
const CR = 0x0d;
const LF = 0x0a;

/**
 * One client's connection: one request after the other, in order. The next head is looked at when the response before
 * it is complete, so whatever a message may hide behind its end is only ever read as the next request.
 */
export class ClientConnection {
  readonly input = new Bytes();
  readonly address: string;
  /** The client sends no more. */
  ended = false;
  /** The connection is gone. */
  gone = false;
  /** No further request is taken. */
  stopping = false;
  private readonly context: ProxyContext;
  private readonly socket: Socket;
  private handler: ClientHandler | undefined;
  private scanned = 0;
  /** Reading on only so that the last response is not lost to a reset. */
  private lingering = false;
  private deadline: Deadline | undefined;

  private readonly onFinished: () => void;

  /** `onFinished`: the connection is gone and nothing is done for it any more. */
  constructor(context: ProxyContext, socket: Socket, onFinished: () => void) {
    this.context = context;
    this.socket = socket;
    this.onFinished = onFinished;
    this.address = socket.remoteAddress ?? 'unknown';
    socket.on('data', (bytes: Buffer) => this.onData(bytes));
    socket.on('drain', () => this.handler?.onClientDrain());
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

  /** Stops reading while nobody can take what the client sends. */
  adjustFlow(): void {
    const { socket, handler } = this;
    const full = handler !== undefined && (handler.stalled || this.input.length > READ_AHEAD);
    if (full === socket.isPaused()) return;
    if (full) socket.pause();
    else socket.resume();
  }

  refuseFraming(error: FramingError): void {
    const { refused } = this.context.counters;
    refused[error.reason] = (refused[error.reason] ?? 0) + 1;
    this.refuse(error.reason === 'headTooLarge' ? 431 : 400, error.message);
  }

  /** Answers for the API and closes. */
  refuse(status: 400 | 431 | 502, reason: string): void {
    const text = { 400: 'Bad Request', 431: 'Request Header Fields Too Large', 502: 'Bad Gateway' }[status];
    const body = `${reason}\n`;
    this.write(
      `HTTP/1.1 ${status} ${text}\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
      undefined,
    );
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
    this.adjustFlow();
    this.deadline?.cancel();
    const { deadlines, limits } = this.context;
    this.socket.end(() => {
      if (!this.gone) this.deadline = deadlines.set(limits.lingerMillis, () => this.destroy());
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

  /** Takes no further request; `now`: does not wait for the current one either. */
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

  private onEnd(): void {
    this.ended = true;
    if (this.handler !== undefined) this.handler.onClientEnd();
    else if (!this.lingering) this.socket.end();
  }

  private onClose(): void {
    this.gone = true;
    this.deadline?.cancel();
    if (this.handler === undefined) this.onFinished();
    else this.handler.onClientGone();
  }

  private waitForRequest(): void {
    const { deadlines, limits } = this.context;
    this.deadline?.cancel();
    this.deadline = deadlines.set(limits.idleClientMillis, () => this.close());
  }

  private readHead(): void {
    this.skipEmptyLines();
    try {
      const view = this.input.view();
      const end = findHeadEnd(view, this.scanned);
      const { limits } = this.context;
      if (end < 0 ? view.length > limits.headBytes : end > limits.headBytes) throw new FramingError('headTooLarge');
      this.scanned = end < 0 ? view.length : 0;
      if (end < 0) {
        if (this.ended) this.close();
        return;
      }
      const request = parseRequest(view.toString('latin1', 0, end));
      const framing = requestFraming(request);
      this.input.consume(end);
      this.deadline?.cancel();
      const exchange = new Exchange(this.context, this, request, framing);
      this.handler = exchange;
      exchange.start();
    } catch (error) {
      if (!(error instanceof FramingError)) throw error;
      this.refuseFraming(error);
    }
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
