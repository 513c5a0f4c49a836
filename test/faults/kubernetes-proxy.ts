import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { text as readText } from 'node:stream/consumers';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { isWrite, type KubernetesCall, type PassingObject, parseCall } from './kubernetes-proxy-call.ts';

export { isWrite, type KubernetesCall } from './kubernetes-proxy-call.ts';

/** The fate of a request instead of forwarding. */
export type Fault =
  /** Answered without being carried out. */
  | { readonly kind: 'answer'; readonly status: number; readonly reason: string; readonly retryAfterSeconds?: number }
  /** The connection breaks before the request is carried out. */
  | { readonly kind: 'reset' }
  /** It is carried out; then, after `meanwhile`, the connection breaks before the answer. */
  | { readonly kind: 'loseAnswer'; readonly meanwhile?: () => Promise<void> }
  /** Neither carried out nor answered. */
  | { readonly kind: 'hang' }
  /** Carried out, never answered. */
  | { readonly kind: 'hangAfter' }
  | { readonly kind: 'delay'; readonly delayMs: number };

export interface WatchFrame {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: PassingObject;
}

type Decide = (call: KubernetesCall) => Fault | undefined | Promise<Fault | undefined>;
/** Whether a frame is forwarded; a promise delays it and those after it. */
type Filter = (frame: WatchFrame, call: KubernetesCall) => boolean | Promise<boolean>;

export interface KubernetesProxy extends AsyncDisposable {
  readonly server: string;
  /** Every request that arrived, in order. */
  readonly calls: readonly KubernetesCall[];
  /** Those of them that write. */
  writes(): KubernetesCall[];
  /** Decides the fate of every following request; `undefined` lets all pass. It may take time and have side effects. */
  inject(decide: Decide | undefined): void;
  /** Decides about every frame of watches from now on. */
  filterWatches(filter: Filter | undefined): void;
  /** Repeats every list request so far and keeps the answers. */
  recordPast(): Promise<void>;
  /**
   * These lists get their recorded answers, if any, and their watches bring nothing, as from an API server that
   * lags behind. When that ends, its watches end. Without an argument: everything is current again.
   */
  serveThePast(isOfThePast?: (call: KubernetesCall) => boolean): void;
  /**
   * `refusing`: connections break, and no new one is made. `silent`: no answers arrive any more; requests under way
   * stay unanswered forever, as behind a firewall that forgot its connections.
   */
  goDark(how: 'refusing' | 'silent'): void;
  comeBack(): void;
  stop(): Promise<void>;
}

export interface KubernetesProxySettings {
  /** The API server's URL. */
  readonly server: string;
  /** Files of a key and certificate trusted by the API server's clients; `ControlPlane.tls`. */
  readonly tls: { readonly key: string; readonly certificate: string };
}

/** A proxy in front of a real API server that can fail, delay, lose and repeat the past, and records requests. */
export async function startKubernetesProxy({
  server: upstream,
  tls,
}: KubernetesProxySettings): Promise<KubernetesProxy> {
  const certificate = readFileSync(tls.certificate);
  const agent = new https.Agent({ keepAlive: true, ca: certificate });
  const calls: KubernetesCall[] = [];
  const sockets = new Set<Duplex>();
  const lists = new Map<string, { headers: IncomingMessage['headers']; past?: Answer }>();
  const lagging = new Set<ServerResponse>();
  let decide: Decide | undefined;
  let filter: Filter = () => true;
  let isPast: (call: KubernetesCall) => boolean = () => false;
  let dark: 'refusing' | 'silent' | undefined;
  /** Requests of an earlier period than this stay unanswered forever. */
  let period = 0;

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const begun = period;
    const body = await readText(request);
    const call = parseCall(request, body);
    calls.push(call);
    const passOn = async () => {
      const incoming = await forward(request, body);
      return { incoming, isHeard: () => dark === undefined && period === begun };
    };
    if (call.verb === 'list') lists.set(call.url, { ...lists.get(call.url), headers: request.headers });
    const fault = dark === undefined ? await decide?.(call) : ({ kind: 'hang' } as const);
    switch (fault?.kind) {
      case 'answer':
        return refuse(response, fault);
      case 'reset':
        request.socket.destroy();
        return;
      case 'hang':
        return;
      case 'loseAnswer':
      case 'hangAfter':
        (await passOn()).incoming.resume();
        if (fault.kind === 'hangAfter') return;
        await fault.meanwhile?.();
        request.socket.destroy();
        return;
      case 'delay':
        await systemClock.sleep(fault.delayMs);
    }
    const past = call.verb === 'list' && isPast(call) ? lists.get(call.url)?.past : undefined;
    if (past !== undefined) return answer(response, past);
    if (call.verb === 'watch' && isPast(call)) return lag(call, response);
    const { incoming, isHeard } = await passOn();
    if (call.verb === 'watch') return relayWatch(call, incoming, response, isHeard);
    const text = await readText(incoming);
    if (isHeard()) answer(response, { status: incoming.statusCode ?? 502, headers: incoming.headers, text });
  }

  function forward(request: Pick<IncomingMessage, 'url' | 'method' | 'headers'>, body = ''): Promise<IncomingMessage> {
    const { host: _, connection: __, 'content-length': ___, 'accept-encoding': ____, ...headers } = request.headers;
    return new Promise((resolve, reject) => {
      // Node adds no length to the body of a DELETE.
      const length = body === '' ? {} : { 'content-length': Buffer.byteLength(body) };
      const options = { method: request.method, headers: { ...headers, ...length }, agent };
      const outgoing = https.request(new URL(request.url ?? '/', upstream), options, resolve);
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }

  async function relayWatch(
    call: KubernetesCall,
    incoming: IncomingMessage,
    response: ServerResponse,
    isHeard: () => boolean,
  ): Promise<void> {
    response.once('close', () => incoming.destroy());
    incoming.once('error', () => response.destroy());
    if (!isHeard()) return;
    response.writeHead(incoming.statusCode ?? 502, { 'content-type': 'application/json' });
    response.flushHeaders();
    for await (const line of createInterface(incoming)) {
      const isPassed = await filter(JSON.parse(line) as WatchFrame, call);
      if (isPassed && isHeard()) response.write(`${line}\n`);
    }
    if (isHeard()) response.end();
  }

  /** A watch without events, until the server ends it at the requested timeout. */
  function lag({ url }: KubernetesCall, response: ServerResponse): void {
    const seconds = Number(new URL(url, upstream).searchParams.get('timeoutSeconds'));
    const timer = setTimeout(() => response.end(), seconds * 1000);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    lagging.add(response);
    response.once('close', () => {
      clearTimeout(timer);
      lagging.delete(response);
    });
  }

  const server = https.createServer({ key: readFileSync(tls.key), cert: certificate }, (request, response) => {
    // The client gave up, or the API server is down: there is no recipient, or no answer.
    handle(request, response).catch(() => request.socket.destroy());
  });
  server.on('connection', (socket) => {
    if (dark === 'refusing') return void socket.destroy();
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('tlsClientError', () => {}); // a client that was killed while it connected
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };

  async function stop(): Promise<void> {
    cut();
    agent.destroy();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  }

  return {
    server: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    writes: () => calls.filter(isWrite),
    inject(next) {
      decide = next;
    },
    filterWatches(next = () => true) {
      filter = next;
    },
    async recordPast() {
      for (const [url, list] of lists) {
        const incoming = await forward({ url, method: 'GET', headers: list.headers });
        const text = await readText(incoming);
        list.past = { status: incoming.statusCode ?? 502, headers: incoming.headers, text };
      }
    },
    serveThePast(isOfThePast = () => false) {
      isPast = isOfThePast;
      for (const response of lagging) response.end();
    },
    goDark(how) {
      dark = how;
      period++;
      if (how === 'refusing') cut();
    },
    comeBack() {
      dark = undefined;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  text: string;
}

function answer(response: ServerResponse, { status, headers, text }: Answer): void {
  const retryAfter = headers['retry-after'];
  response.writeHead(status, {
    'content-type': headers['content-type'] ?? 'application/json',
    ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }),
  });
  response.end(text);
}

function refuse(
  response: ServerResponse,
  { status, reason, retryAfterSeconds }: Extract<Fault, { kind: 'answer' }>,
): void {
  const text = JSON.stringify({
    kind: 'Status',
    apiVersion: 'v1',
    status: 'Failure',
    code: status,
    reason,
    message: 'injected',
  });
  const headers = retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) };
  answer(response, { status, headers, text });
}
