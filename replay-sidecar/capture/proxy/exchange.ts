import { UPSTREAM_AGAIN_MS } from '@edge-migration/runtime/policies.ts';
import { createBody } from './body.ts';
import { beginCapture, type CapturedRequest } from './captured-request.ts';
import type { ClientConnection, ClientHandler } from './client.ts';
import type { ProxyContext } from './context.ts';
import type { Timer } from './deadlines.ts';
import { forwardRequest, isAliasedName } from './forwarding.ts';
import type { Framing } from './framing.ts';
import { FramingError } from './framing-error.ts';
import type { ParsedRequest } from './head.ts';
import type { CaptureOutcome } from './hook.ts';
import type { RequestOutcome } from './metrics.ts';
import { type RequestOwner, RequestRelay } from './request-relay.ts';
import { type ResponseOwner, ResponseRelay } from './response-relay.ts';
import { Tunnel } from './tunnel.ts';
import type { UpstreamConnection, UpstreamHandler } from './upstream.ts';

/** Safe methods (RFC 9110, section 9.2.1): sending them twice is like sending them once. */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * One request and its response.
 *
 * A connection that the API has used before may be closed by it at any moment, and then there is no telling whether it
 * saw the request. Requests that may be sent twice (safe method, no body) go over any such connection, and are sent
 * again, over a new one, when it breaks before the first byte of a response. All others go over the connection that the
 * same client's last request used, or over a new one: a client without us would have sent it there, so anything that
 * happens to it there would have happened without us, too. (The API's keep-alive never ends such a connection under a
 * request: it is used only while it is younger than that, by the clock, and not known to be closed.) The client sees
 * the end as the API showed it: closed or reset. Only an unreachable API is answered for, with 502.
 */
export class Exchange implements ClientHandler, UpstreamHandler, RequestOwner, ResponseOwner {
  private readonly context: ProxyContext;
  private readonly client: ClientConnection;
  private readonly capture: CapturedRequest | undefined;
  private readonly request: RequestRelay;
  private readonly response: ResponseRelay;
  private readonly repeatable: boolean;
  private upstream: UpstreamConnection | undefined;
  private over = false;
  /** The client reads slower than the API sends. */
  private clientBlocked = false;
  private refusals = 0;
  private retry: Timer | undefined;
  private carry: Timer | undefined;

  constructor(context: ProxyContext, client: ClientConnection, request: ParsedRequest, framing: Framing) {
    this.context = context;
    this.client = client;
    const { method, target, version } = request;
    const forwarded = forwardRequest(request, context.forwarded, client.address);
    context.counters.droppedFields.aliased += forwarded.aliases;
    const body = createBody(framing, isAliasedName);
    this.repeatable = body.done && SAFE.has(method);
    this.capture = beginCapture(context.capture, { method, target, version, fields: forwarded.fields });
    if (this.capture?.needsBody && framing.kind === 'length') this.capture.expectRequest(framing.length);
    this.request = new RequestRelay(client, forwarded.text, body, this.capture, this);
    this.response = new ResponseRelay(request, forwarded, this.capture, context.limits.headBytes, this);
  }

  start(): void {
    const { capture } = this;
    if (capture === undefined) {
      this.connectSoon();
      return;
    }
    // The connection comes later: one that waits for its request would keep a worker of the API busy.
    capture.prepare(() => {
      if (!this.over) this.request.prepared();
      if (!this.over) this.connectSoon();
    });
  }

  /** Settles the exchange at once, whatever its state, because the proxy stops. */
  stop(): void {
    this.abort('stopped', { kind: 'unknown', why: 'stopped' });
    this.client.destroy();
  }

  // The client

  get stalled(): boolean {
    return this.request.stalled;
  }

  get waitsForClient(): boolean {
    return this.clientBlocked || this.request.waitsForClient;
  }

  onClientData(): void {
    this.request.pump();
  }

  onClientEnd(): void {
    this.request.pump();
  }

  onClientDrain(): void {
    this.clientBlocked = false;
    this.upstream?.resume();
  }

  /** A captured request is carried to its end, because the API carries it to its end, too. */
  onClientGone(): void {
    if (this.capture === undefined) {
      this.onRequestCut();
      return;
    }
    this.upstream?.resume();
    this.request.pump();
    if (this.over) return;
    this.carry = this.context.deadlines.set(this.context.limits.carryMs, () =>
      this.abort('clientGone', { kind: 'unknown', why: 'timeout' }),
    );
  }

  // The API

  onUpstreamConnect(): void {
    this.context.onUpstream(true);
    this.request.pump();
  }

  onUpstreamDrain(): void {
    this.request.onDrain();
  }

  onUpstreamData(bytes: Buffer): void {
    try {
      this.response.receive(bytes);
    } catch (error) {
      if (!(error instanceof FramingError)) throw error;
      this.onBadResponse(error);
    }
  }

  onUpstreamEnd(): void {
    if (!this.response.end()) this.onUpstreamLost(true);
  }

  onUpstreamClose(error: Error | undefined): void {
    if (this.upstream?.connected === true) this.onUpstreamLost(false);
    else this.onConnectFailure(error ?? new Error('connection closed'));
  }

  // The two relays

  /** A kept connection may have grown old while the intent was written. */
  mayStart(upstream: UpstreamConnection): boolean {
    const { limits, counters } = this.context;
    if (this.repeatable || !upstream.reused || upstream.isYoungerThan(limits.idleUpstreamMs)) return true;
    counters.resends.stale += 1;
    upstream.destroy();
    this.connect(false);
    return false;
  }

  onRequestSent(): void {
    if (this.response.done) this.settle(false);
  }

  onRequestCut(): void {
    this.abort('clientGone', { kind: 'unknown', why: 'clientGone' });
  }

  onRequestRefused(error: FramingError): void {
    this.abort(undefined, { kind: 'unknown', why: 'clientGone' });
    if (this.response.begun) this.client.reset();
    else this.client.refuseFraming(error);
  }

  toClient(text: string, bytes: Buffer | undefined): void {
    if (this.client.write(text, bytes)) return;
    this.clientBlocked = true;
    this.upstream?.pause();
  }

  mayPersist(): boolean {
    return !this.client.stopping;
  }

  onUpgrade(head: string, rest: Buffer): void {
    const { client, upstream } = this;
    if (upstream === undefined) return;
    this.conclude('upgraded');
    client.write(head, rest.length === 0 ? undefined : rest);
    new Tunnel(client, upstream).start();
  }

  onResponseDone(): void {
    this.settle(false);
  }

  /** A request that cannot be resent goes out once all input is read, including the end of a kept connection. */
  private connectSoon(): void {
    if (this.repeatable) this.connect(true);
    else setImmediate(() => !this.over && this.connect(true));
  }

  private connect(mayReuse: boolean): void {
    const { pool } = this.context;
    const pooled = mayReuse ? pool.take(this, this.client, !this.repeatable) : undefined;
    this.upstream = pooled ?? pool.open(this);
    this.request.attach(this.upstream);
    if (pooled !== undefined) this.request.pump();
  }

  /**
   * The response is complete. When the request is not (the API answered early), goes on forwarding it as long as the
   * API takes it; otherwise it is the next one's turn. `lost`: the API closed the connection.
   */
  private settle(lost: boolean): void {
    const { upstream, request, response, client } = this;
    if (this.over || upstream === undefined) return;
    const inStep = response.reusable && !request.halfClosed && !lost;
    if (!request.sent && inStep && !client.gone) return;
    this.conclude(this.capture === undefined ? 'passed' : 'captured');
    if (request.sent && inStep) this.context.pool.release(upstream, client);
    else upstream.destroy();
    if (request.sent || client.gone) client.next(response.persist);
    else client.close();
  }

  private onUpstreamLost(orderly: boolean): void {
    const { upstream, response, client } = this;
    if (this.over || upstream === undefined) return;
    upstream.destroy();
    if (response.done) {
      this.settle(true);
    } else if (upstream.reused && !response.begun && (this.repeatable || !this.request.started)) {
      this.context.counters.resends.stale += 1;
      this.connect(false);
    } else {
      this.breakOff(orderly ? () => client.close() : () => client.reset());
    }
  }

  /** The client gets what the API sent, and then the same end. */
  private breakOff(end: () => void): void {
    const { response, client } = this;
    if (!response.breakOff() && response.unread.length > 0) client.write('', response.unread);
    this.abort('upstreamLost', { kind: 'unknown', why: 'reset' });
    end();
  }

  private onConnectFailure(error: Error & { code?: string }): void {
    const { deadlines, limits, counters } = this.context;
    this.context.onUpstream(false, error);
    this.upstream = undefined;
    if (error.code === 'ECONNREFUSED' && this.refusals * UPSTREAM_AGAIN_MS < limits.refusedMs) {
      this.refusals += 1;
      counters.resends.refused += 1;
      this.retry = deadlines.set(UPSTREAM_AGAIN_MS, () => this.connect(false));
      return;
    }
    this.abort('badGateway', { kind: 'notSent' });
    this.client.refuse(502, 'The API cannot be reached');
  }

  private onBadResponse(error: FramingError): void {
    const answered = this.response.breakOff();
    this.abort('badGateway', { kind: 'unknown', why: 'reset' });
    if (answered) this.client.reset();
    else this.client.refuse(502, `The API's answer is not valid HTTP: ${error.reason}`);
  }

  /** Ends the exchange without a complete response. */
  private abort(outcome: RequestOutcome | undefined, told: CaptureOutcome): void {
    if (this.over) return;
    const { upstream, request, capture, client } = this;
    this.conclude(outcome);
    if (request.sent) upstream?.destroy();
    else upstream?.reset();
    capture?.finish(request.started ? told : { kind: 'notSent' }, request.started);
    if (client.gone) client.next(false);
  }

  private conclude(outcome: RequestOutcome | undefined): void {
    this.over = true;
    this.request.stop();
    this.retry?.cancel();
    this.carry?.cancel();
    if (outcome !== undefined) this.context.counters.requests[outcome] += 1;
  }
}
