import { connect, type Socket } from 'node:net';

export interface RawClient extends Disposable {
  readonly socket: Socket;
  /** All received bytes, as latin1. */
  readonly received: string;
  readonly ended: boolean;
  /** The connection was reset. */
  readonly broken: boolean;
  readonly closed: Promise<void>;
  send(bytes: string | Buffer): void;
  /** Ends the sending side. */
  end(): void;
  /** Waits until the received bytes satisfy the condition; fails when the connection ends first. */
  until(condition: (received: string) => boolean): Promise<string>;
  /** Waits for that or for the connection's end. */
  untilOrEnd(condition: (received: string) => boolean): Promise<string>;
  /** Everything up to the connection's end. */
  all(): Promise<string>;
}

/** A client that sends and shows raw bytes. */
export async function connectRaw(port: number): Promise<RawClient> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  const waiting = new Set<() => void>();
  let received = '';
  let ended = false;
  let broken = false;
  const wake = () => {
    for (const check of waiting) check();
  };
  socket.on('data', (bytes) => {
    received += bytes.toString('latin1');
    wake();
  });
  socket.on('end', () => {
    ended = true;
    wake();
  });
  socket.on('error', () => {
    broken = true;
  });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  void closed.then(() => {
    ended = true;
    wake();
  });
  const wait = (condition: (received: string) => boolean, atEnd: 'fail' | 'accept') =>
    new Promise<string>((resolve, reject) => {
      const check = () => {
        if (condition(received) || (ended && atEnd === 'accept')) resolve(received);
        else if (ended) reject(new Error(`The connection ended after: ${JSON.stringify(received)}`));
        else return;
        waiting.delete(check);
      };
      waiting.add(check);
      check();
    });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return {
    socket,
    get received() {
      return received;
    },
    get ended() {
      return ended;
    },
    get broken() {
      return broken;
    },
    closed,
    send(bytes) {
      socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    },
    end: () => void socket.end(),
    until: (condition) => wait(condition, 'fail'),
    untilOrEnd: (condition) => wait(condition, 'accept'),
    all: () => wait(() => false, 'accept'),
    [Symbol.dispose]: () => void socket.destroy(),
  };
}
