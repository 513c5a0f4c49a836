import type { Budget } from './budget.ts';
import { Bytes } from './bytes.ts';
import type { Timers } from './deadlines.ts';
import type {
  BodyExtent,
  CallUpstream,
  Capture,
  CaptureHook,
  CaptureOutcome,
  CaptureStage,
  RequestHead,
} from './hook.ts';
import type { ProxyLimits } from './limits.ts';
import type { Counters } from './metrics.ts';

export interface CaptureContext {
  readonly hook: CaptureHook;
  readonly call: CallUpstream;
  readonly deadlines: Timers;
  readonly limits: ProxyLimits;
  readonly counters: Counters;
  readonly budget: Budget;
}

/** Memory per byte of a captured body: the spare room of its buffer, and what the capture makes of it. */
const BYTES_PER_BYTE = 3;

/** A stage of the capture took longer than its bound, and the request went on without it. */
export class CaptureTimeoutError extends Error {
  override readonly name = 'CaptureTimeoutError';
}

/** Asks the hook; an error there affects only the hook, never the request. */
export function beginCapture(context: CaptureContext, head: RequestHead): CapturedRequest | undefined {
  try {
    const capture = context.hook.begin(head, context.call);
    return capture === undefined ? undefined : new CapturedRequest(context, head, capture);
  } catch (error) {
    reportMissed(context, head, 'begin', error);
    return undefined;
  }
}

function reportMissed(context: CaptureContext, head: RequestHead, stage: CaptureStage, error: unknown): void {
  context.counters.captureErrors[stage] += 1;
  try {
    context.hook.missed(head, stage, error);
  } catch {
    context.counters.captureErrors[stage] += 1;
  }
}

/** A {@link Capture} that cannot throw, cannot hang, and is finished exactly once. */
export class CapturedRequest {
  /** The intent was asked for; at most once. */
  intended = false;
  private finished = false;
  private readonly context: CaptureContext;
  private readonly head: RequestHead;
  private readonly capture: Capture;
  private readonly requestBody: CapturedBody;
  private readonly responseBody: CapturedBody;
  /** The capture's work in progress on the request's body. */
  private reading: Promise<void> | void = undefined;

  constructor(context: CaptureContext, head: RequestHead, capture: Capture) {
    this.context = context;
    this.head = head;
    this.capture = capture;
    this.requestBody = new CapturedBody(context);
    this.responseBody = new CapturedBody(context);
  }

  get needsBody(): boolean {
    return this.capture.needsBody;
  }

  get needsResponseBody(): boolean {
    return this.capture.needsResponseBody;
  }

  readonly collectRequest = (data: Buffer): void => this.requestBody.collect(data);
  readonly collectResponse = (data: Buffer): void => this.responseBody.collect(data);

  /** The request's body will have this length. */
  expectRequest(length: number): void {
    this.requestBody.expect(length);
  }

  /** Calls `done` when the capture is prepared, at once when there is nothing to prepare. */
  prepare(done: () => void): void {
    const { capture, context } = this;
    if (capture.prepare === undefined) {
      done();
      return;
    }
    this.bounded('prepare', context.limits.prepareMs, () => capture.prepare?.(context.call), done);
  }

  /** Calls `done` when the request's end may be forwarded, at once when the intent is synchronous. */
  intent(extent: BodyExtent, done: () => void): void {
    this.intended = true;
    const { tooLarge } = this.requestBody;
    const body = this.needsBody ? this.requestBody.take() : undefined;
    const actual = tooLarge ? 'tooLarge' : extent;
    const run = () => {
      this.reading = this.capture.intent(body, actual);
      return this.reading;
    };
    this.bounded('intent', this.context.limits.intentMs, run, done);
  }

  /** `forwarded`: some of the request reached the API, so an intent is due even when its end never came. */
  finish(outcome: CaptureOutcome, forwarded: boolean): void {
    if (this.finished) return;
    this.finished = true;
    if (forwarded && !this.intended) this.intent('cutShort', () => {});
    try {
      this.capture.finish(outcome);
    } catch (error) {
      reportMissed(this.context, this.head, 'finish', error);
    }
    this.responseBody.release();
    const release = () => this.requestBody.release();
    // The capture may go on reading after its time is up.
    if (this.reading === undefined) release();
    else this.reading.then(release, release);
  }

  responded(status: number, fields: RequestHead['fields'], complete: boolean): void {
    const truncated = this.needsResponseBody && (!complete || this.responseBody.tooLarge);
    const body = this.needsResponseBody ? this.responseBody.take() : undefined;
    this.finish({ kind: 'responded', status, fields, body, truncated }, true);
  }

  private bounded(
    stage: CaptureStage,
    milliseconds: number,
    run: () => Promise<void> | undefined | void,
    done: () => void,
  ) {
    let waiting: Promise<void> | undefined | void;
    try {
      waiting = run();
    } catch (error) {
      reportMissed(this.context, this.head, stage, error);
    }
    if (waiting === undefined) return done();
    let open = true;
    const settle = () => {
      if (!open) return false;
      open = false;
      deadline.cancel();
      return true;
    };
    const fail = (error: unknown) => {
      if (!settle()) return;
      reportMissed(this.context, this.head, stage, error);
      done();
    };
    const deadline = this.context.deadlines.set(milliseconds, () =>
      fail(new CaptureTimeoutError(`the capture's ${stage} took longer than ${milliseconds} ms`)),
    );
    waiting.then(() => {
      if (settle()) done();
    }, fail);
  }
}

/** The part of a body that the limits allow. It counts until its request is over: the capture keeps it that long. */
class CapturedBody {
  tooLarge = false;
  private readonly bytes = new Bytes();
  private readonly context: CaptureContext;
  private length = 0;
  private reserved = 0;

  constructor(context: CaptureContext) {
    this.context = context;
  }

  /** Keeps not even the beginning of a body whose end will not fit. */
  expect(length: number): void {
    if (length > this.context.limits.capturedBodyBytes) this.dropBody();
    else this.bytes.expect(length);
  }

  collect(data: Buffer): void {
    if (this.tooLarge) return;
    const { limits, budget } = this.context;
    this.length += data.length;
    const more = BYTES_PER_BYTE * data.length;
    if (this.length > limits.capturedBodyBytes || !budget.reserve(more)) {
      this.dropBody();
      return;
    }
    this.reserved += more;
    this.bytes.append(data);
  }

  take(): Buffer | undefined {
    return this.tooLarge ? undefined : this.bytes.view();
  }

  release(): void {
    this.context.budget.release(this.reserved);
    this.reserved = 0;
    this.bytes.clear();
  }

  private dropBody(): void {
    this.tooLarge = true;
    this.context.counters.bodies.tooLarge += 1;
    this.release();
  }
}
