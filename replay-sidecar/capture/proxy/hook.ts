/**
 * The boundary between the proxy, which knows HTTP, and the capture, which knows Flagsmith's routes.
 * The proxy calls; it never depends on what is behind these interfaces.
 */

/** One header line, value trimmed of spaces and tabs, both as latin1: every char is one byte on the wire. */
export interface Field {
  readonly name: string;
  /** `name` in lower case. */
  readonly lower: string;
  readonly value: string;
}

/** A request's head as the API will see it: hop-by-hop fields are gone; order, case and duplicates are the client's. */
export interface RequestHead {
  readonly method: string;
  /** The request target as sent, undecoded: `/api/v1/identities/?identifier=a%20b`. */
  readonly target: string;
  readonly version: '1.0' | '1.1';
  readonly fields: readonly Field[];
}

export interface CaptureHook {
  /**
   * Called with every request's head before anything of the request is forwarded. `undefined`: not of interest, pass.
   * Must not throw; if it does, the error is counted, the request passes uncaptured and {@link missed} is called.
   *
   * @param call for its own questions, even after the answer
   */
  begin(head: RequestHead, call: CallUpstream): Capture | undefined;
  /** A request passed although its capture failed (an exception of `begin`, `prepare` or `intent`, or too slow). */
  missed(head: RequestHead, stage: CaptureStage, error: unknown): void;
}

export type CaptureStage = 'begin' | 'prepare' | 'intent' | 'finish';

/**
 * `whole`: all of it, transfer coding removed (a content coding is not). `tooLarge`: beyond the limit, not kept.
 * `cutShort`: the client went away or broke the framing in the middle; the API sees that end too.
 */
export type BodyExtent = 'whole' | 'tooLarge' | 'cutShort';

/** One request of interest, from its head to the API's answer. Calls come in this order: prepare, intent, finish. */
export interface Capture {
  /**
   * Whether `intent` needs the request body. It is forwarded as it comes, all but its last piece, which waits for the
   * intent. When false, `intent` is called before anything is forwarded, because the API may act on the head alone.
   */
  readonly needsBody: boolean;
  /** Whether `finish` needs the response body. It is never held back. */
  readonly needsResponseBody: boolean;
  /**
   * Awaited, bounded in time, before anything is forwarded; for what vanishes with the request. After a failure or a
   * timeout, the request is forwarded all the same.
   */
  prepare?(call: CallUpstream): Promise<void>;
  /**
   * Called at most once, before the API can see the end of the request. The end is forwarded when the promise settles
   * or the bound is reached, whichever is first. `body` is undefined when it was not requested or is too large, and
   * empty when requested and the request has none. Not called when nothing of the request reached the API.
   */
  intent(body: Buffer | undefined, extent: BodyExtent): Promise<void> | void;
  /** Called exactly once, last, in every case. Without a need for the response body: as soon as the status is known. */
  finish(outcome: CaptureOutcome): void;
}

export type CaptureOutcome =
  | {
      readonly kind: 'responded';
      readonly status: number;
      readonly fields: readonly Field[];
      /** Transfer coding removed; undefined when not requested or not kept. */
      readonly body: Buffer | undefined;
      /** The body went beyond the limit or broke off. */
      readonly truncated: boolean;
    }
  /** The API may have acted or may still act. `stopped`: the proxy was stopped before the answer came. */
  | { readonly kind: 'unknown'; readonly why: 'reset' | 'timeout' | 'clientGone' | 'stopped' }
  /** The API cannot have acted: it never got the request (connection refused, client gone before). */
  | { readonly kind: 'notSent' };

/** Asks the API over the proxy's own connections; never captured itself. */
export type CallUpstream = (request: UpstreamRequest, signal?: AbortSignal) => Promise<UpstreamResponse>;

/** One of our own requests. Only safe methods: it may be sent twice. */
export interface UpstreamRequest {
  readonly method: 'GET' | 'HEAD' | 'OPTIONS';
  readonly target: string;
  /** Sent as they are, in this order; must contain `Host`. Hop-by-hop fields are dropped. */
  readonly fields: readonly Pick<Field, 'name' | 'value'>[];
}

export interface UpstreamResponse {
  readonly status: number;
  readonly fields: readonly Field[];
  readonly body: Buffer;
}
