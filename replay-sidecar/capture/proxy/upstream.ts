import { connect, type Socket } from 'node:net';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Timer, Timers } from './deadlines.ts';
import type { ProxyLimits } from './limits.ts';
import type { Counters } from './metrics.ts';
import { writeMessage } from './write.ts';

export interface UpstreamAddress {
  readonly host: string;
  readonly port: number;
}

/** The present user of a connection to the API. */
export interface UpstreamHandler {
  onUpstreamConnect(): void;
  onUpstreamData(bytes: Buffer): void;
  onUpstreamDrain(): void;
  /** The API sends no more. */
  onUpstreamEnd(): void;
  /** The connection is gone, or was never established. Nothing follows. */
  onUpstreamClose(error: Error | undefined): void;
}

/** Connections to the API, kept alive between requests. */
export interface UpstreamPool {
  /**
   * A connection that was idle for less than the limit and that the API has not closed: the one that `client` used
   * last, if it is there; otherwise the most recent one of any client, unless `ownOnly`.
   */
  take(handler: UpstreamHandler, client: object | undefined, ownOnly: boolean): UpstreamConnection | undefined;
  open(handler: UpstreamHandler): UpstreamConnection;
  /** Keeps the connection for the next request, preferably of the same client. */
  release(connection: UpstreamConnection, client: object | undefined): void;
  /** Closes idle connections and keeps none from now on. */
  close(): void;
  readonly idle: number;
  readonly busy: number;
}

/** All connections read into this one and copy: cheaper than a buffer of this size for each small answer. */
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);

/** One connection to the API. Its listeners are set once; the handler changes with each request. */
export class UpstreamConnection {
  handler: UpstreamHandler | undefined;
  connected = false;
  /** It has served a request before, so the API may close it at any moment. */
  reused = false;
  /** While idle. */
  deadline: Timer | undefined;
  /** While idle: its last user. */
  lastClient: object | undefined;
  /** While idle: since when, monotonic. */
  idleSince = 0;
  private readonly socket: Socket;
  private readonly onIdleEnd: (connection: UpstreamConnection) => void;
  private readonly clock: Clock;
  /** When something was last sent on it: the API has not been idle on it for longer. */
  private sentAt = 0;

  /** `onIdleEnd`: the API closed the connection while it was idle. */
  constructor(
    socket: Socket,
    handler: UpstreamHandler,
    clock: Clock,
    onIdleEnd: (connection: UpstreamConnection) => void,
  ) {
    this.socket = socket;
    this.handler = handler;
    this.clock = clock;
    this.onIdleEnd = onIdleEnd;
    let failure: Error | undefined;
    socket.on('connect', () => {
      this.connected = true;
      this.handler?.onUpstreamConnect();
    });
    socket.on('drain', () => this.handler?.onUpstreamDrain());
    socket.on('end', () => {
      if (this.handler === undefined) this.endIdle();
      else this.handler.onUpstreamEnd();
    });
    socket.on('error', (error) => {
      failure = error;
    });
    socket.on('close', () => {
      const last = this.handler;
      this.handler = undefined;
      if (last === undefined) this.onIdleEnd(this);
      else last.onUpstreamClose(failure);
    });
  }

  receive(bytes: Buffer): void {
    if (this.handler === undefined) this.endIdle();
    else this.handler.onUpstreamData(bytes);
  }

  /**
   * Whether the API has been idle on it for less than this, in milliseconds. Judged by the clock and by our last send,
   * because timers fire and answers are read late on a machine that is short of CPU.
   */
  isYoungerThan(milliseconds: number): boolean {
    return this.clock.monotonic() - this.sentAt < milliseconds;
  }

  /** False: wait for the drain before writing more. */
  write(text: string, bytes: Buffer | undefined): boolean {
    this.sentAt = this.clock.monotonic();
    return writeMessage(this.socket, text, bytes);
  }

  /** Sends no more; the answer can still come. */
  end(): void {
    this.socket.end();
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    if (this.socket.isPaused()) this.socket.resume();
  }

  /** Closes when all is sent, without telling the handler. */
  finish(): void {
    this.handler = undefined;
    this.socket.destroySoon();
  }

  /** Closes without telling the handler. */
  destroy(): void {
    this.handler = undefined;
    this.socket.destroy();
  }

  /** Closes so that the API cannot take what it got for the whole. */
  reset(): void {
    this.handler = undefined;
    this.socket.resetAndDestroy();
  }

  /** Gives up connecting; the handler is notified. */
  fail(error: Error): void {
    this.socket.destroy(error);
  }

  /** Closing it for good takes a moment, in which it must not be used any more. */
  private endIdle(): void {
    this.onIdleEnd(this);
    this.socket.destroy();
  }
}

export function createUpstreamPool(
  address: UpstreamAddress,
  clock: Clock,
  deadlines: Timers,
  limits: ProxyLimits,
  counters: Counters,
): UpstreamPool {
  /** Oldest first. */
  const idle: UpstreamConnection[] = [];
  let open = 0;
  let closed = false;

  function forget(connection: UpstreamConnection): void {
    const index = idle.indexOf(connection);
    if (index >= 0) idle.splice(index, 1);
    connection.deadline?.cancel();
  }

  function drop(connection: UpstreamConnection): void {
    forget(connection);
    connection.destroy();
  }

  /** Their deadlines stand still while the process is frozen; the API's do not. */
  function dropStale(): void {
    const oldest = clock.monotonic() - limits.idleUpstreamMs;
    for (let [first] = idle; first !== undefined && first.idleSince < oldest; [first] = idle) drop(first);
  }

  return {
    take(handler, client, ownOnly) {
      dropStale();
      const own = idle.findLast(({ lastClient }) => lastClient === client && client !== undefined);
      const connection = own ?? (ownOnly ? undefined : idle.at(-1));
      if (connection === undefined) return undefined;
      forget(connection);
      connection.handler = handler;
      connection.reused = true;
      return connection;
    },
    open(handler) {
      counters.connections.opened += 1;
      open += 1;
      const onread = {
        buffer: READ_BUFFER,
        callback(length: number) {
          connection.receive(Buffer.from(READ_BUFFER.subarray(0, length)));
          return true;
        },
      };
      const socket = connect({ ...address, allowHalfOpen: true, noDelay: true, onread });
      const connection = new UpstreamConnection(socket, handler, clock, forget);
      const deadline = deadlines.set(limits.connectMs, () => connection.fail(new Error('connection timed out')));
      socket.once('connect', () => deadline.cancel());
      socket.once('close', () => {
        deadline.cancel();
        open -= 1;
      });
      return connection;
    },
    release(connection, client) {
      connection.handler = undefined;
      connection.lastClient = client;
      if (closed || idle.length >= limits.idleUpstreamConnections) {
        connection.destroy();
        return;
      }
      connection.resume();
      connection.idleSince = clock.monotonic();
      idle.push(connection);
      connection.deadline = deadlines.set(limits.idleUpstreamMs, () => drop(connection));
    },
    close() {
      closed = true;
      for (const connection of [...idle]) drop(connection);
    },
    get idle() {
      return idle.length;
    },
    get busy() {
      return open - idle.length;
    },
  };
}
