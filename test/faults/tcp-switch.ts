import { connect, createServer, type Socket } from 'node:net';
import { freePort } from '../cluster/ports.ts';

/** An address that leads to one server or another, like a name or a pooler during a failover. */
export interface TcpSwitch extends AsyncDisposable {
  readonly port: number;
  /** New connections lead to this port of 127.0.0.1 from now on; existing ones are cut, or continue unchanged. */
  lead(to: number, existing: 'cut' | 'keep'): void;
}

/** Refuses connections until it leads somewhere. */
export async function startTcpSwitch(): Promise<TcpSwitch> {
  let target: number | undefined;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    if (target === undefined) {
      client.destroy();
      return;
    }
    const upstream = connect(target, '127.0.0.1');
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.setNoDelay();
      one.pipe(other);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port,
    lead(to, existing) {
      target = to;
      if (existing === 'cut') cut();
    },
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
