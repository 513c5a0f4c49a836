import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, it } from 'vitest';
import { readBody } from './body.ts';

it('the body of a request whose client has left is refused, instead of being waited for', async () => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.write('POST / HTTP/1.1\r\nHost: trigger\r\nContent-Length: 100\r\n\r\n{"Entries"');
  const [request] = (await once(server, 'request')) as [IncomingMessage];
  const closed = new Promise((resolve) => request.once('close', resolve));
  client.destroy();
  await closed;
  await expect(readBody(request, 1024)).rejects.toThrow('the body ended too early');
  server.close();
  await once(server, 'close');
});
