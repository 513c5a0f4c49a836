import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Many deliberately slow clients. */
export interface Crowd {
  readonly name: string;
  /** @returns the statuses of ordinary requests that were sent meanwhile; `none` for those without an answer */
  run(port: number): Promise<string[]>;
}

const HOLD_MS = 3_000;
const PROBES = 20;
const UNFINISHED = Buffer.from(`GET /a HTTP/1.1\r\nHost: x\r\n${`X: ${'a'.repeat(8_000)}\r\n`.repeat(130)}`).subarray(
  0,
  1_040_000,
);
/** A quarter of a million fields in a megabyte. */
const MANY_FIELDS = Buffer.from(`GET /a HTTP/1.1\r\nHost: x\r\n${'_:\r\n'.repeat(250_000)}\r\n`);
const MANY_SEGMENTS = Buffer.from(`POST /api/v1/traits${'/'.repeat(1_000_000)} HTTP/1.1\r\nHost: x\r\n\r\n`);
/** The null API answers these with a few hundred bytes. */
const UNREAD = Buffer.from('GET /api/v1/flags/ HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(20_000));

export const CROWDS: readonly Crowd[] = [
  crowd('150 unfinished heads of 1 MB', 150, UNFINISHED),
  crowd('1,000 unfinished heads of 1 MB', 1_000, UNFINISHED),
  crowd('50 heads of 1 MB with the shortest fields', 50, MANY_FIELDS),
  crowd('50 heads of 1 MB with the shortest path segments', 50, MANY_SEGMENTS),
  crowd('2,000 idle connections', 2_000, undefined),
  crowd('20,000 requests each of 50 clients that read no answer', 50, UNREAD),
];

function crowd(name: string, size: number, bytes: Buffer | undefined): Crowd {
  return {
    name,
    async run(port) {
      const sockets: Socket[] = [];
      for (let n = 0; n < size; n += 1) {
        const socket = connect(port, '127.0.0.1');
        socket.on('error', () => {});
        socket.pause();
        if (bytes !== undefined) socket.write(bytes);
        sockets.push(socket);
        if (n % 25 === 24) await sleep(20);
      }
      await sleep(HOLD_MS);
      const answers: string[] = [];
      for (let n = 0; n < PROBES; n += 1) answers.push(await probe(port));
      for (const socket of sockets) socket.destroy();
      return answers;
    },
  };
}

const probe = (port: number) =>
  askStatus(port, (socket) => socket.write('GET /api/v1/flags/ HTTP/1.1\r\nHost: x\r\n\r\n'));

/** Sends one request over its own connection; returns the status of the answer, or `none`. */
export function askStatus(port: number, send: (socket: Socket) => void): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.on('close', () => resolve('none'));
    socket.once('data', (bytes) => {
      resolve(bytes.toString('latin1').slice(9, 12));
      socket.destroy();
    });
    send(socket);
  });
}
