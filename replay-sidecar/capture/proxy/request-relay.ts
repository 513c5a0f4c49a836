import type { BodyFraming } from './body.ts';
import type { CapturedRequest } from './captured-request.ts';
import type { ClientConnection } from './client.ts';
import { FramingError } from './framing-error.ts';
import type { BodyExtent } from './hook.ts';
import type { UpstreamConnection } from './upstream.ts';

/** How the exchange reacts when the request's side comes to an end. */
export interface RequestOwner {
  /** Nothing of the request is forwarded yet. False: not over this connection; another one follows. */
  mayStart(upstream: UpstreamConnection): boolean;
  /** All of the request is forwarded. */
  onRequestSent(): void;
  /** The body's framing turned out to be ambiguous. */
  onRequestRefused(error: FramingError): void;
  /** The client vanished in the middle of the body. */
  onRequestCut(): void;
}

/** The way there: from the client's bytes to the API's, of one exchange. Past the intent, where there is one. */
export class RequestRelay {
  /** Some of the request was forwarded. */
  started = false;
  /** The client ended in the middle of the body, and the API was told so. */
  halfClosed = false;
  private upstream: UpstreamConnection | undefined;
  /** A piece of the body that was read and is not forwarded yet. */
  private outgoing: Buffer | undefined;
  /** The capture has to finish its intent before more may be forwarded. */
  private holding: boolean;
  /** The API reads slower than the client sends. */
  private blocked = false;
  private stopped = false;
  private readonly client: ClientConnection;
  private readonly head: string;
  private readonly body: BodyFraming;
  private readonly capture: CapturedRequest | undefined;
  private readonly owner: RequestOwner;

  constructor(
    client: ClientConnection,
    head: string,
    body: BodyFraming,
    capture: CapturedRequest | undefined,
    owner: RequestOwner,
  ) {
    this.client = client;
    this.head = head;
    this.body = body;
    this.capture = capture;
    this.owner = owner;
    this.holding = capture !== undefined;
  }

  get sent(): boolean {
    return this.body.done && this.started && this.outgoing === undefined;
  }

  /** The client's bytes cannot be taken now. */
  get stalled(): boolean {
    return this.outgoing !== undefined || this.blocked;
  }

  /** There is more to come, and the API would take it. */
  get waitsForClient(): boolean {
    return !this.body.done && !this.stalled && !this.holding && this.upstream?.connected === true;
  }

  /** The capture is prepared: asks for its intent as soon as its input is there. */
  prepared(): void {
    this.holding = false;
    if (this.capture?.needsBody === false || this.body.done) this.askIntent('whole');
    this.pump();
  }

  /** Sends over this connection, from the start. */
  attach(upstream: UpstreamConnection): void {
    this.upstream = upstream;
    this.started = false;
    this.blocked = false;
  }

  onDrain(): void {
    this.blocked = false;
    this.pump();
  }

  stop(): void {
    this.stopped = true;
  }

  /** Moves the request on as far as it can go now. */
  pump(): void {
    while (!this.stopped && this.step());
    if (!this.stopped) this.checkCut();
    if (!this.stopped) this.client.adjustFlow();
  }

  /** True: try again, there may be more. */
  private step(): boolean {
    if (!this.readBody()) return false;
    if (this.holding || this.blocked || this.upstream?.connected !== true) return false;
    if (this.started && this.outgoing === undefined) return false;
    if (!this.started && !this.owner.mayStart(this.upstream)) return false;
    this.blocked = !this.upstream.write(this.started ? '' : this.head, this.outgoing);
    this.started = true;
    this.outgoing = undefined;
    if (!this.body.done) return this.client.input.length > 0;
    this.owner.onRequestSent();
    return false;
  }

  /** False: the body's framing is ambiguous. */
  private readBody(): boolean {
    const { input } = this.client;
    const { body, capture } = this;
    if (body.done || this.holding || this.outgoing !== undefined || input.length === 0) return true;
    const view = input.view();
    try {
      const count = body.scan(view, capture?.needsBody && !capture.intended ? capture.collectRequest : undefined);
      this.outgoing = count === view.length ? view : view.subarray(0, count);
      input.consume(count);
    } catch (error) {
      if (!(error instanceof FramingError)) throw error;
      this.owner.onRequestRefused(error);
      return false;
    }
    if (body.done && capture !== undefined && !capture.intended) this.askIntent('whole');
    return true;
  }

  /** Asks for the intent; the rest of the request waits for it. */
  private askIntent(extent: BodyExtent): void {
    this.holding = true;
    let returned = false;
    this.capture?.intent(extent, () => {
      this.holding = false;
      if (returned) this.pump();
    });
    returned = true;
  }

  /** The client ended or vanished before its request was complete: the API gets to see the same. */
  private checkCut(): void {
    const { client, capture, upstream } = this;
    if (this.body.done || this.holding || this.halfClosed || client.input.length > 0) return;
    if (client.gone) {
      this.owner.onRequestCut();
      return;
    }
    if (!client.ended || !this.started || this.outgoing !== undefined) return;
    if (capture !== undefined && !capture.intended) this.askIntent('cutShort');
    if (this.holding) return;
    this.halfClosed = true;
    upstream?.end();
  }
}
