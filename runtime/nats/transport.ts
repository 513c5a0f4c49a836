/**
 * The sockets of NATS's client library, which stops listening to a socket's errors at several moments: between the
 * server's first message and the TLS handshake, and from the moment it gives up the connection until the socket is
 * closed. An `error` event without a listener ends the process. It also leaves sockets open, and may wait indefinitely
 * for a dead connection to accept its unsent data.
 */
import type { Socket } from 'node:net';

import {
  type NatsConnection,
  NatsConnectionImpl,
  type NodeConnectionOptions,
  setTransportFactory,
} from '@nats-io/transport-node';
// The package has no public access to its transport; package.json pins its version.
import { NodeTransport, nodeResolveHost } from '@nats-io/transport-node/lib/node_transport.js';

type Address = Parameters<NodeTransport['dial']>[0];

/** The library's transport, except for how its sockets end and how many system calls it takes to write to them. */
export class NatsTransport extends NodeTransport {
  /** Sent in this turn of the event loop, not yet written to the socket. */
  #frames: Uint8Array[] = [];

  /**
   * The library flushes in every microtask that has something to send, and an acknowledgement is mostly a microtask of
   * its own: a system call for each was the dearest item in a profile of the applier under load. Data of one
   * event-loop turn leaves together.
   */
  override send(frame: Uint8Array): void {
    this.#frames.push(frame);
    if (this.#frames.length === 1) process.nextTick(() => this.#write());
  }

  #write(): void {
    const frames = this.#frames;
    this.#frames = [];
    if (frames.length > 0) super.send(frames.length === 1 ? frames[0]! : Buffer.concat(frames));
  }

  override async dial(address: Address): Promise<Socket> {
    return keepListening(await super.dial(address));
  }

  override async startTLS(): ReturnType<NodeTransport['startTLS']> {
    return keepListening(await super.startTLS());
  }

  override async tlsFirst(address: Address): ReturnType<NodeTransport['tlsFirst']> {
    return keepListening(await super.tlsFirst(address));
  }

  /** Also ends an attempt that did not result in a connection: otherwise its socket would stay open. */
  override async close(error?: Error): Promise<void> {
    this.#write();
    if (!this.connected) this.discard();
    await super.close(error);
  }

  /**
   * For a connection that is dead, rejected or to be re-established. It does not wait for unsent data, because a dead
   * one never accepts it; all important messages are acknowledged, and sent again if they are not.
   */
  override disconnect(): void {
    // Its `close` event notifies the library.
    this.socket?.destroy();
  }
}

/** Like the library's `connect`, with sockets that end properly. */
export function connectTransport(options: NodeConnectionOptions): Promise<NatsConnection> {
  setTransportFactory({ factory: () => new NatsTransport(), dnsResolveFn: nodeResolveHost });
  return NatsConnectionImpl.connect(options);
}

/**
 * Errors after the library stopped listening belong to a connection that it has given up, and reports by its status.
 */
function keepListening<S extends Socket>(socket: S): S {
  const { removeAllListeners } = socket;
  const listen = () => socket.on('error', () => undefined);
  socket.removeAllListeners = (...events) => {
    removeAllListeners.apply(socket, events);
    return listen();
  };
  return listen();
}
