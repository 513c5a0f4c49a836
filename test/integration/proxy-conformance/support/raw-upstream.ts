import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type Message, readRequests } from './reading.ts';

interface UpstreamConnection {
  readonly socket: Socket;
  /** All bytes received over it, as latin1. */
  received: string;
  ended: boolean;
  /** The connection broke instead of ending. */
  broken: boolean;
  readonly closed: Promise<void>;
}

export interface SeenRequest {
  readonly text: string;
  readonly message: Message;
  readonly connection: UpstreamConnection;
}

export interface UpstreamBehaviour {
  /** The head of the next request is complete. */
  onHead?(head: string, connection: UpstreamConnection): void;
  /** A request is complete; writes its response to the connection's socket. */
  onRequest?(request: SeenRequest): void;
  onConnection?(connection: UpstreamConnection): void;
  onData?(connection: UpstreamConnection, bytes: Buffer): void;
  /** The peer has ended its sending side. By default this side ends, too. */
  onEnd?(connection: UpstreamConnection): void;
}

export interface RawUpstream extends AsyncDisposable {
  readonly port: number;
  /** May be replaced at any time. */
  behaviour: UpstreamBehaviour;
  readonly connections: UpstreamConnection[];
  readonly requests: SeenRequest[];
  clear(): void;
  /** Stops listening; open connections stay. */
  unlisten(): Promise<void>;
  listen(): Promise<void>;
}

export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** An API that shows the bytes it received, and sends given bytes. */
export async function startRawUpstream(behaviour: UpstreamBehaviour = {}): Promise<RawUpstream> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => accept(socket));
  const upstream = {
    port: 0,
    behaviour,
    connections: [] as UpstreamConnection[],
    requests: [] as SeenRequest[],
    clear() {
      upstream.connections = [];
      upstream.requests = [];
    },
    unlisten: () => new Promise<void>((resolve) => server.close(() => resolve())),
    listen: () => new Promise<void>((resolve) => server.listen(upstream.port, '127.0.0.1', resolve)),
    async [Symbol.asyncDispose]() {
      for (const { socket } of open) socket.destroy();
      if (server.listening) await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  const open = new Set<UpstreamConnection>();
  await upstream.listen();
  upstream.port = (server.address() as AddressInfo).port;
  return upstream;

  function accept(socket: Socket): void {
    const connection: UpstreamConnection = {
      socket,
      received: '',
      ended: false,
      broken: false,
      closed: new Promise((resolve) => socket.once('close', () => resolve())),
    };
    let pending = '';
    let headSeen = false;
    open.add(connection);
    upstream.connections.push(connection);
    socket.on('error', () => {
      connection.broken = true;
    });
    socket.on('close', () => open.delete(connection));
    socket.on('end', () => {
      connection.ended = true;
      if (upstream.behaviour.onEnd === undefined) socket.end();
      else upstream.behaviour.onEnd(connection);
    });
    socket.on('data', (bytes) => {
      if (upstream.behaviour.onData !== undefined) {
        upstream.behaviour.onData(connection, bytes);
        return;
      }
      const text = bytes.toString('latin1');
      connection.received += text;
      pending += text;
      const headEnd = pending.indexOf('\r\n\r\n');
      if (headEnd >= 0 && !headSeen) upstream.behaviour.onHead?.(pending.slice(0, headEnd + 4), connection);
      headSeen = headEnd >= 0;
      const messages = readRequests(pending);
      for (const message of messages) {
        const request = { text: pending.slice(message.start, message.end), message, connection };
        upstream.requests.push(request);
        upstream.behaviour.onRequest?.(request);
      }
      const complete = messages.at(-1)?.end ?? 0;
      pending = pending.slice(complete);
      headSeen &&= complete === 0;
    });
    upstream.behaviour.onConnection?.(connection);
  }
}
