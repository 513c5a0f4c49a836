/**
 * Sends requests over keep-alive connections and prints its results as one JSON object. Argument: a {@link Load}.
 *
 * Closed: each connection sends as soon as it has its answer. Paced: at the given rate, on any free
 * connection; the time of a request that has to wait for one counts from when it was due.
 */
import { connect, type Socket } from 'node:net';

export interface Load {
  readonly port: number;
  readonly kind: 'read' | 'write';
  readonly connections: number;
  readonly requests: number;
  /** Requests a second; as fast as possible when left out. */
  readonly rate?: number;
}

export interface Seen {
  readonly requests: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const TIMER_DELAY_MS = 5;
const HEAD =
  'Host: flags.example.com\r\nUser-Agent: python-requests/2.31.0\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\nX-Environment-Key: kJmZcVhXnP4pZzLtYw3aRq\r\n';

function read(): string {
  return `GET /api/v1/flags/ HTTP/1.1\r\n${HEAD}\r\n`;
}

function write(n: number): string {
  const traits = '[{"trait_key":"plan","trait_value":"premium"},{"trait_key":"logins","trait_value":42}]';
  const body = `{"identifier":"user-${process.pid}-${n}","traits":${traits}}`;
  return `POST /api/v1/identities/ HTTP/1.1\r\n${HEAD}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

async function run({ port, kind, connections, requests, rate }: Load): Promise<Seen> {
  const request = kind === 'read' ? read : write;
  const times = new Float64Array(requests);
  const free: Socket[] = [];
  const due = new Map<Socket, number>();
  const started = performance.now();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let sent = 0;
  let answered = 0;
  const send = (socket: Socket, time: number) => {
    due.set(socket, time);
    socket.write(request(sent++));
  };
  const sockets = Array.from({ length: connections }, () => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.on('error', reject);
    socket.on('data', (bytes) => {
      if (bytes[9] !== 0x32) reject(new Error(`Unexpected answer: ${bytes}`));
      const now = performance.now();
      times[answered++] = now - (due.get(socket) ?? now);
      if (answered === requests) resolve();
      else if (rate !== undefined) free.push(socket);
      else if (sent < requests) send(socket, now);
    });
    return socket;
  });
  await Promise.all(sockets.map((socket) => new Promise((connected) => socket.once('connect', connected))));
  free.push(...sockets);
  if (rate === undefined) for (const socket of sockets) send(socket, performance.now());
  else pace(rate);
  await promise;
  for (const socket of sockets) socket.destroy();
  times.sort();
  const percentile = (part: number) => times[Math.floor(requests * part)] ?? 0;
  return {
    requests,
    seconds: (performance.now() - started) / 1000,
    p50Ms: percentile(0.5),
    p99Ms: percentile(0.99),
  };

  function pace(perSecond: number): void {
    const begun = performance.now();
    const tick = () => {
      const now = performance.now();
      for (; sent < requests; ) {
        const time = begun + (sent / perSecond) * 1000;
        const socket = time <= now ? free.shift() : undefined;
        if (socket === undefined) break;
        // The timer's own delay is not the server's.
        send(socket, now - time < TIMER_DELAY_MS ? performance.now() : time);
      }
      if (sent < requests) setTimeout(tick, 1);
    };
    tick();
  }
}

console.log(JSON.stringify(await run(JSON.parse(process.argv[2] ?? ''))));
