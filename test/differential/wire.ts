import { connect } from 'node:net';

/** Neither gunicorn's own address nor, by its default, one whose forwarded headers it trusts. */
export const DIRECT = '127.0.0.2';
export const NEIGHBOUR = '127.0.0.1';

/** Only against a server that never answers. */
const TIMEOUT_MS = 120_000;

export interface Sent {
  readonly port: number;
  /** The client's address. */
  readonly from: string;
  readonly bytes: Buffer;
}

export interface Answered {
  /** Status of the first response that is not interim; undefined if none came. */
  readonly status: number | undefined;
  /** It took longer than any request may. */
  readonly late: boolean;
}

/** Sends bytes over a separate connection, ends it, and reads the complete response. */
export function exchange({ port, from, bytes }: Sent): Promise<Answered> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: from, noDelay: true, allowHalfOpen: true });
    let received = '';
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      socket.destroy();
    }, TIMEOUT_MS);
    socket.on('data', (data) => {
      received += data.toString('latin1');
    });
    // Received data is what counts; a reset after it does not matter.
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(timer);
      resolve({ status: statusOf(received), late });
    });
    socket.end(bytes);
  });
}

function statusOf(received: string): number | undefined {
  const head = /^(?:HTTP\/1\.[01] 1\d\d[\s\S]*?\r\n\r\n)*HTTP\/1\.[01] (\d{3})/.exec(received);
  return head === null ? undefined : Number(head[1]);
}
