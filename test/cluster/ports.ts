import { createServer } from 'node:net';

/** Outside the range from which the kernel picks ports for outgoing connections, which would race with ours. */
const PORTS = { first: 12_000, count: 20_000 };
const handedOut = new Set<number>();

/** A TCP port on which nothing listens on the loopback interface; never the same one twice in one process. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    if (handedOut.has(port) || !(await canListen(port))) continue;
    handedOut.add(port);
    return port;
  }
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
