import type { Socket } from 'node:net';

/** Below this, head and body are copied into one string, which is cheaper than a second write. */
const SMALL_BODY = 8 * 1024;

/** Writes a head (latin1; may be empty) and bytes behind it. False: wait for the drain before writing more. */
export function writeMessage(socket: Socket, text: string, bytes: Buffer | undefined): boolean {
  if (bytes === undefined) return socket.write(text, 'latin1');
  if (text === '') return socket.write(bytes);
  if (bytes.length <= SMALL_BODY) return socket.write(text + bytes.toString('latin1'), 'latin1');
  socket.write(text, 'latin1');
  return socket.write(bytes);
}
