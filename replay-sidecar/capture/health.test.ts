import { once } from 'node:events';
import { connect } from 'node:net';
import { createMetrics } from '@edge-migration/runtime/metrics.ts';
import { probeHttp } from '@edge-migration/test/cluster/probe.ts';
import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHealthServer, type HealthServer, MAX_HEALTH_CONNECTIONS } from './health.ts';

let server: HealthServer;
let url: string;
let ready = false;
const metrics = createMetrics();

beforeAll(async () => {
  server = createHealthServer(metrics, () => ready);
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  url = `http://127.0.0.1:${port}`;
});
afterAll(() => server.close());

/** Sends the pieces one after the other and returns everything that comes back. */
async function ask(pieces: readonly string[]): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port), noDelay: true });
  for (const piece of pieces) await new Promise((sent) => socket.write(piece, sent));
  return Buffer.concat(await Array.fromAsync(socket)).toString();
}

describe('the health server', () => {
  it('says that the process lives, ready or not', async () => {
    expect((await probeHttp(`${url}/livez`)).status).toBe(200);
  });

  it('answers a probe however many connections others keep open', async () => {
    const { port } = new URL(url);
    const others = Array.from({ length: 3 * MAX_HEALTH_CONNECTIONS }, () =>
      connect({ host: '127.0.0.1', port: Number(port) }).resume(),
    );
    const closed = Promise.all(
      others.map((socket) =>
        once(
          socket.on('error', () => {}),
          'close',
        ),
      ),
    );
    await waitFor(
      () =>
        others.filter((socket) => socket.readableEnded || socket.destroyed).length >= MAX_HEALTH_CONNECTIONS ||
        undefined,
      {
        for: 'the oldest to be closed',
      },
    );
    expect((await probeHttp(`${url}/livez`)).status).toBe(200);
    for (const socket of others) socket.destroy();
    await closed;
  });

  it('says whether requests are accepted', async () => {
    expect((await probeHttp(`${url}/readyz`)).status).toBe(503);
    ready = true;
    expect((await probeHttp(`${url}/readyz?verbose`)).status).toBe(200);
  });

  it('shows the metrics, and an error of one of them as an error', async () => {
    const metric = { type: 'gauge', help: 'of the test', label: undefined } as const;
    metrics.add({ ...metric, name: 'temperature', read: () => 21 });
    metrics.add({ ...metric, name: 'unknown', read: () => undefined });
    expect(await probeHttp(`${url}/metrics`)).toMatchObject({
      status: 200,
      body:
        '# HELP temperature of the test\n# TYPE temperature gauge\ntemperature 21\n' +
        '# HELP unknown of the test\n# TYPE unknown gauge\n',
    });
    const read = () => {
      throw new Error('out of order');
    };
    metrics.add({ ...metric, name: 'broken', read });
    expect(await probeHttp(`${url}/metrics`)).toMatchObject({ status: 500, body: 'out of order\n' });
  });

  it('answers 404 to everything else', async () => {
    expect((await probeHttp(`${url}/`)).status).toBe(404);
  });

  it('accepts a request in pieces, and refuses what is not a request', async () => {
    expect(await ask(['GET /li', 'vez HTTP/1.1\r\nHo', 'st: a\r\n\r', '\n'])).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(await ask(['hello\r\n\r\n'])).toMatch(/^HTTP\/1\.1 400 /);
    expect(await ask([`GET /livez HTTP/1.1\r\nA: ${'a'.repeat(17_000)}`])).toMatch(/^HTTP\/1\.1 400 /);
  });
});
