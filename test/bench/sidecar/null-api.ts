/** An API that does nothing: it answers any request at once with the same small JSON. Argument: the port. */
import { createServer } from 'node:net';

const BODY = '{"identifier":"x","traits":[],"flags":[]}';
const ANSWER = Buffer.from(
  `HTTP/1.1 200 OK\r\nServer: gunicorn\r\nConnection: keep-alive\r\nContent-Type: application/json\r\nVary: Accept, Cookie\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`,
);
const LENGTH = /\r\ncontent-length: (\d+)\r\n/i;

createServer({ noDelay: true }, (socket) => {
  let pending = '';
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    pending += bytes.toString('latin1');
    for (;;) {
      const headEnd = pending.indexOf('\r\n\r\n') + 4;
      if (headEnd < 4) return;
      const end = headEnd + Number(LENGTH.exec(pending)?.[1] ?? 0);
      if (pending.length < end) return;
      pending = pending.slice(end);
      socket.write(ANSWER);
    }
  });
}).listen(Number(process.argv[2]), '127.0.0.1');
