import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import type { Duplex } from 'node:stream';

/** Connections to DynamoDB, kept open between requests, that can be cut off. */
export interface Sockets {
  agentOf(protocol: string | undefined): http.Agent;
  /** Calls back as soon as data written to the socket leaves; at once where that is now. */
  whenReady(socket: net.Socket, callback: () => void): void;
  /**
   * Ends the connection with a reset, so that the kernel discards unsent data. A connection that is closed in the usual
   * way sends it, for minutes if need be: long after its sender has abandoned the request.
   */
  cutOff(socket: net.Socket): void;
  destroy(): void;
}

/**
 * @param options `maxSockets` at the same time; a connection not established after `timeoutMs` is abandoned
 */
export function createSockets(options: { maxSockets: number; timeoutMs: number }): Sockets {
  const settings = { keepAlive: true, maxSockets: options.maxSockets, scheduling: 'lifo' } as const;
  const plain = new http.Agent(settings);
  const secure = new SecureAgent(settings, options.timeoutMs);
  return {
    agentOf: (protocol) => (protocol === 'https:' ? secure : plain),
    whenReady(socket, callback) {
      if (secure.isShaking(socket)) socket.once('secureConnect', callback);
      else if (socket.connecting) socket.once('connect', callback);
      else callback();
    },
    cutOff: (socket) => reset(secure.transportOf(socket) ?? socket),
    destroy() {
      plain.destroy();
      secure.destroy();
    },
  };
}

/** Node resets only plain sockets, so the one below a secure socket must be known. */
class SecureAgent extends https.Agent {
  readonly #timeoutMs: number;
  readonly #connecting = new Set<net.Socket>();
  readonly #transports = new WeakMap<Duplex, net.Socket>();
  readonly #shaking = new WeakSet<Duplex>();

  constructor(settings: https.AgentOptions, timeoutMs: number) {
    super(settings);
    this.#timeoutMs = timeoutMs;
  }

  transportOf(socket: Duplex): net.Socket | undefined {
    return this.#transports.get(socket);
  }

  /** Whether it is connected, but not secure yet. */
  isShaking(socket: Duplex): boolean {
    return this.#shaking.has(socket);
  }

  override createConnection(
    options: https.RequestOptions,
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const { host, port } = options;
    const transport = net.connect({ host: host ?? 'localhost', port: Number(port ?? 443), timeout: this.#timeoutMs });
    const fail = (error: Error) => callback?.(error, transport);
    this.#connecting.add(transport);
    transport.setNoDelay(true).setKeepAlive(true, 1000);
    transport.once('close', () => this.#connecting.delete(transport));
    transport.once('error', fail);
    transport.once('timeout', () =>
      transport.destroy(Object.assign(new Error('no connection'), { code: 'ETIMEDOUT' })),
    );
    transport.once('connect', () => {
      transport.off('error', fail).setTimeout(0).removeAllListeners('timeout');
      this.#connecting.delete(transport);
      const socket = super.createConnection({ ...options, socket: transport } as https.RequestOptions);
      if (!socket) return transport.destroy();
      this.#transports.set(socket, transport);
      this.#shaking.add(socket);
      socket.once('secureConnect', () => this.#shaking.delete(socket));
      return callback?.(null, socket);
    });
    return undefined;
  }

  override destroy(): void {
    for (const transport of this.#connecting) transport.destroy();
    super.destroy();
  }
}

/** `resetAndDestroy` would first wait until everything is written, which must not happen. */
function reset(socket: net.Socket): void {
  Object.assign(socket, { resetAndClosing: true });
  socket.destroy();
}
