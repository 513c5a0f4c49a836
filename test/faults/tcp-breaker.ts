import { connect, createServer, type Socket } from 'node:net';
import { freePort } from '../cluster/ports.ts';

/** A server's address on which connections break as in real networks. New connections always lead to the server. */
export interface TcpBreaker extends AsyncDisposable {
  readonly port: number;
  /** Number of clients' open connections. */
  readonly open: number;
  /** Ends each connection politely (FIN), like a stopping server; data that the client still sends is read and lost. */
  end(): void;
  /** Breaks each connection off (RST). */
  reset(): void;
  /** Forwards nothing more on existing connections without ending them, like a network that is gone. */
  freeze(): void;
  /** From now on, new connections are reset as soon as the server's first bytes are sent. */
  resetOnceGreeted(): void;
}

/** Breaks connections to this port of 127.0.0.1; without a port, it accepts them and never sends anything. */
export async function startTcpBreaker(target?: number): Promise<TcpBreaker> {
  const clients = new Set<Socket>();
  let resetsOnceGreeted = false;
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    clients.add(client);
    client.on('error', () => client.destroy());
    client.on('close', () => clients.delete(client));
    if (target === undefined) {
      client.on('end', () => client.end()).resume();
      return;
    }
    const upstream = connect({ port: target, host: '127.0.0.1', noDelay: true });
    upstream.on('error', () => client.destroy());
    client.on('close', () => upstream.destroy());
    client.pipe(upstream).pipe(client);
    // The bytes have left the process by the next turn of its event loop.
    if (resetsOnceGreeted) upstream.once('data', () => setImmediate(() => client.resetAndDestroy()));
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    port,
    get open() {
      return clients.size;
    },
    end() {
      for (const client of clients) client.unpipe().resume().end();
    },
    reset() {
      for (const client of clients) client.resetAndDestroy();
    },
    freeze() {
      for (const client of clients) client.unpipe().pause();
    },
    resetOnceGreeted() {
      resetsOnceGreeted = true;
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
