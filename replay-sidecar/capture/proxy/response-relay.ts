import { type BodyFraming, createBody } from './body.ts';
import { Bytes } from './bytes.ts';
import type { CapturedRequest } from './captured-request.ts';
import { type ForwardedRequest, forwardResponse, keepsAlive, nominatedFields } from './forwarding.ts';
import { type Framing, responseFraming } from './framing.ts';
import { FramingError } from './framing-error.ts';
import { findHeadEnd, type ParsedRequest, type ParsedResponse, parseResponse } from './head.ts';

/** How the exchange handles the pieces of a response. */
export interface ResponseOwner {
  toClient(text: string, bytes: Buffer | undefined): void;
  /** The API agreed to another protocol; `head` is its 101, `rest` the bytes behind it. */
  onUpgrade(head: string, rest: Buffer): void;
  onResponseDone(): void;
  /** The client's connection may stay open as far as the client is concerned. */
  mayPersist(): boolean;
}

/** The way back: from the API's bytes to the client's, of one exchange. */
export class ResponseRelay {
  /** The API has sent something, so the request must not be sent again. */
  begun = false;
  done = false;
  /** The client's connection stays open behind this response. */
  persist = false;
  /** The final response's head, once it is known. */
  response: ParsedResponse | undefined;
  private framing: Framing | undefined;
  private body: BodyFraming | undefined;
  /** The API has sent nothing unrequested. */
  private inStep = true;
  private scanned = 0;
  private readonly input = new Bytes();
  private readonly request: ParsedRequest;
  private readonly forwarded: ForwardedRequest;
  private readonly capture: CapturedRequest | undefined;
  private readonly headBytes: number;
  private readonly owner: ResponseOwner;

  constructor(
    request: ParsedRequest,
    forwarded: ForwardedRequest,
    capture: CapturedRequest | undefined,
    headBytes: number,
    owner: ResponseOwner,
  ) {
    this.request = request;
    this.forwarded = forwarded;
    this.capture = capture;
    this.headBytes = headBytes;
    this.owner = owner;
  }

  /** The API keeps its connection open and is in step with us on it. */
  get reusable(): boolean {
    const { response } = this;
    if (!this.done || !this.inStep || response === undefined) return false;
    return this.framing?.kind !== 'untilClose' && this.input.length === 0 && keepsAlive(response);
  }

  /** Bytes of a head whose end has not arrived. */
  get unread(): Buffer {
    return this.input.view();
  }

  /** @throws FramingError */
  receive(bytes: Buffer): void {
    this.begun = true;
    if (this.done) {
      this.inStep = false;
      return;
    }
    this.input.append(bytes);
    if (this.response !== undefined) this.readBody('', 0);
    else while (this.readHead());
  }

  /** The API closed in good order; true when that completes the response. */
  end(): boolean {
    if (this.done || this.framing?.kind !== 'untilClose') return false;
    this.complete();
    return true;
  }

  /** The response broke off; passes what is known of it to the capture. */
  breakOff(): boolean {
    if (this.response === undefined) return false;
    this.capture?.responded(this.response.status, this.response.fields, false);
    return true;
  }

  /** True: another head may follow in what has arrived. */
  private readHead(): boolean {
    const view = this.input.view();
    const end = findHeadEnd(view, this.scanned);
    if (end < 0 ? view.length > this.headBytes : end > this.headBytes) throw new FramingError('headTooLarge');
    this.scanned = end < 0 ? view.length : 0;
    if (end < 0) return false;
    const response = parseResponse(view.toString('latin1', 0, end));
    if (response.status >= 200) {
      this.onFinal(response, end);
      return false;
    }
    this.input.consume(end);
    if (response.status === 101) this.onSwitch(response);
    else if (this.request.version === '1.1') this.owner.toClient(response.text, undefined);
    return response.status !== 101 && this.input.length > 0;
  }

  private onSwitch(response: ParsedResponse): void {
    if (!this.forwarded.upgrade) throw new FramingError('statusLine');
    this.capture?.responded(response.status, response.fields, true);
    const rest = this.input.view();
    this.input.clear();
    this.owner.onUpgrade(response.text, rest);
  }

  private onFinal(response: ParsedResponse, headEnd: number): void {
    const framing = responseFraming(this.request.method, response);
    const untilClose = framing.kind === 'untilClose';
    const staysOpen = response.version === '1.1' || keepsAlive(response);
    this.framing = framing;
    const nominated = nominatedFields(response);
    this.body = createBody(framing, nominated && ((lower) => nominated.has(lower)));
    this.persist = staysOpen && !untilClose && this.forwarded.keepAlive && this.owner.mayPersist();
    this.response = response;
    this.readBody(forwardResponse(response, this.persist, this.request, untilClose), headEnd);
    const { capture } = this;
    if (capture !== undefined && !capture.needsResponseBody) capture.responded(response.status, response.fields, true);
  }

  /** Forwards what has arrived of the body, behind `head`, which replaces the first `headEnd` bytes. */
  private readBody(head: string, headEnd: number): void {
    const view = this.input.view();
    const { body, capture } = this;
    if (body === undefined) return;
    let end = headEnd;
    if (!body.done && view.length > headEnd) {
      const sink = capture?.needsResponseBody ? capture.collectResponse : undefined;
      end += body.scan(headEnd === 0 ? view : view.subarray(headEnd), sink);
    }
    if (head === this.response?.text) this.owner.toClient('', view.subarray(0, end));
    else this.owner.toClient(head, end > headEnd ? view.subarray(headEnd, end) : undefined);
    this.input.consume(end);
    if (body.done) this.complete();
  }

  private complete(): void {
    this.done = true;
    const { capture, response } = this;
    if (response !== undefined) capture?.responded(response.status, response.fields, true);
    this.owner.onResponseDone();
  }
}
