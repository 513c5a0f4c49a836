import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { startHttpServer } from './server.ts';

test('a client that does not read the answer to its request is disconnected', async () => {
  const closed = Promise.withResolvers<void>();
  const server = await startHttpServer({
    host: '127.0.0.1',
    port: 0,
    mostConnections: 10,
    requestMs: 10_000,
    idleMs: 200,
    onRequest(_, response) {
      response.once('close', () => closed.resolve());
      // More than the buffers of both sides hold.
      response.end(Buffer.alloc(64 * 1024 * 1024));
    },
  });
  const client = connect(server.port, '127.0.0.1');
  client.on('error', () => {}); // cut off
  client.pause();
  await once(client, 'connect');
  client.write('GET / HTTP/1.1\r\nhost: console\r\n\r\n');
  await closed.promise;
  client.destroy();
  await server.close();
});

test('an answer in parts with shorter pauses in between is sent to its end', async () => {
  const server = await startHttpServer({
    host: '127.0.0.1',
    port: 0,
    mostConnections: 10,
    requestMs: 10_000,
    idleMs: 300,
    onRequest(_, response) {
      let left = 10;
      const timer = setInterval(() => {
        left -= 1;
        if (left > 0) return response.write('part ');
        clearInterval(timer);
        response.end('end');
      }, 60);
    },
  });
  expect(await (await fetch(server.url)).text()).toBe(`${'part '.repeat(9)}end`);
  await server.close();
});
