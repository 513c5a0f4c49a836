import { createBody } from './body.ts';
import { Bytes } from './bytes.ts';
import type { Timers } from './deadlines.ts';
import { forwardRequest, keepsAlive } from './forwarding.ts';
import { requestFraming, responseFraming } from './framing.ts';
import { FramingError } from './framing-error.ts';
import { findHeadEnd, type ParsedResponse, parseRequest, parseResponse } from './head.ts';
import type { CallUpstream, UpstreamRequest, UpstreamResponse } from './hook.ts';
import type { ProxyLimits } from './limits.ts';
import type { UpstreamConnection, UpstreamHandler, UpstreamPool } from './upstream.ts';

/** The API gave no usable answer to one of our own requests. */
class UpstreamCallError extends Error {
  override readonly name = 'UpstreamCallError';
}

/**
 * Our own requests to the API over the proxy's connections, so that it sees one peer. They are sent again when an idle
 * connection turns out to be closed, and fail with an {@link UpstreamCallError} in all other cases.
 */
export function createCall(pool: UpstreamPool, deadlines: Timers, limits: ProxyLimits): CallUpstream {
  return (request, signal) =>
    new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const call = new Call(pool, limits, headOf(request), request.method, (result) => {
        deadline.cancel();
        signal?.removeEventListener('abort', onAbort);
        if (result instanceof Error) reject(result);
        else resolve(result);
      });
      const onAbort = () => call.fail(new UpstreamCallError('the call was aborted', { cause: signal?.reason }));
      const deadline = deadlines.set(limits.callMs, () => call.fail(new UpstreamCallError('the API took too long')));
      signal?.addEventListener('abort', onAbort, { once: true });
      call.start(true);
    });
}

/** @throws FramingError | UpstreamCallError when the request would be anything but one head */
function headOf({ method, target, fields }: UpstreamRequest): string {
  const lines = fields.map(({ name, value }) => `${name}: ${value}\r\n`).join('');
  const head = parseRequest(`${method} ${target} HTTP/1.1\r\n${lines}\r\n`);
  if (head.target !== target || head.fields.length !== fields.length || requestFraming(head).kind !== 'none')
    throw new UpstreamCallError('the call is not one request without a body');
  return forwardRequest(head, 'off', '').text;
}

class Call implements UpstreamHandler {
  private readonly pool: UpstreamPool;
  private readonly limits: ProxyLimits;
  private readonly head: string;
  private readonly method: string;
  private readonly settle: (result: UpstreamResponse | Error) => void;
  private readonly input = new Bytes();
  private readonly data = new Bytes();
  private upstream: UpstreamConnection | undefined;
  private response: ParsedResponse | undefined;
  private body = createBody({ kind: 'untilClose' });
  private untilClose = false;
  private begun = false;
  private over = false;

  constructor(
    pool: UpstreamPool,
    limits: ProxyLimits,
    head: string,
    method: string,
    settle: (result: UpstreamResponse | Error) => void,
  ) {
    this.pool = pool;
    this.limits = limits;
    this.head = head;
    this.method = method;
    this.settle = settle;
  }

  start(mayReuse: boolean): void {
    this.upstream = mayReuse ? this.pool.take(this, undefined, false) : undefined;
    if (this.upstream === undefined) this.upstream = this.pool.open(this);
    else this.onUpstreamConnect();
  }

  fail(error: Error): void {
    if (this.over) return;
    this.over = true;
    this.upstream?.destroy();
    this.settle(error);
  }

  onUpstreamConnect(): void {
    this.upstream?.write(this.head, undefined);
  }

  onUpstreamData(bytes: Buffer): void {
    this.begun = true;
    this.input.append(bytes);
    try {
      while (this.response === undefined && this.readHead());
      if (this.response !== undefined) this.readBody(this.response);
    } catch (error) {
      this.fail(new UpstreamCallError("The API's answer is not valid HTTP", { cause: error }));
    }
  }

  onUpstreamDrain(): void {}

  onUpstreamEnd(): void {
    if (this.untilClose && this.response !== undefined) this.complete(this.response, false);
    else this.onUpstreamClose(undefined);
  }

  onUpstreamClose(error: Error | undefined): void {
    const { upstream } = this;
    upstream?.destroy();
    if (upstream?.reused === true && !this.begun) {
      this.start(false);
      return;
    }
    this.fail(new UpstreamCallError('the API closed the connection', { cause: error }));
  }

  /** True: that was an interim response, and more has arrived. */
  private readHead(): boolean {
    const view = this.input.view();
    const end = findHeadEnd(view, 0);
    if (end < 0) {
      if (view.length > this.limits.headBytes) throw new FramingError('headTooLarge');
      return false;
    }
    const response = parseResponse(view.toString('latin1', 0, end));
    this.input.consume(end);
    if (response.status === 101) throw new FramingError('statusLine');
    if (response.status < 200) return this.input.length > 0;
    this.response = response;
    const framing = responseFraming(this.method, response);
    this.body = createBody(framing);
    this.untilClose = framing.kind === 'untilClose';
    return false;
  }

  private readBody(response: ParsedResponse): void {
    const view = this.input.view();
    if (!this.body.done) this.input.consume(this.body.scan(view, (data) => this.data.append(data)));
    if (this.data.length > this.limits.callBodyBytes) {
      this.fail(new UpstreamCallError("The API's answer is too large"));
      return;
    }
    if (this.body.done) this.complete(response, this.input.length === 0);
  }

  private complete(response: ParsedResponse, reusable: boolean): void {
    if (this.over || this.upstream === undefined) return;
    this.over = true;
    if (reusable && keepsAlive(response)) this.pool.release(this.upstream, undefined);
    else this.upstream.destroy();
    this.settle({ status: response.status, fields: response.fields, body: Buffer.from(this.data.view()) });
  }
}
