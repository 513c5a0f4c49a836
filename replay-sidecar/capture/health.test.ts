import { probeHttp } from '@edge-migration/test/cluster/probe.ts';
import { Gauge, Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createHealthServer, type HealthServer } from './health.ts';

let server: HealthServer;
let url: string;
let ready = false;
const registry = new Registry();

beforeAll(async () => {
  server = createHealthServer(registry, () => ready);
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  url = `http://127.0.0.1:${port}`;
});
afterAll(() => server.close());

describe('the health server', () => {
  it('says that the process lives, ready or not', async () => {
    expect((await probeHttp(`${url}/livez`)).status).toBe(200);
  });

  it('says whether requests are taken', async () => {
    expect((await probeHttp(`${url}/readyz`)).status).toBe(503);
    ready = true;
    expect((await probeHttp(`${url}/readyz?verbose`)).status).toBe(200);
  });

  it('shows the metrics, and an error of one of them as such', async () => {
    const gauge = new Gauge({ name: 'temperature', help: 'of the test', registers: [registry] });
    gauge.set(21);
    expect((await probeHttp(`${url}/metrics`)).body).toContain('temperature 21');
    new Gauge({
      name: 'broken',
      help: 'never works',
      registers: [registry],
      collect() {
        throw new Error('out of order');
      },
    });
    expect(await probeHttp(`${url}/metrics`)).toMatchObject({ status: 500, body: 'out of order\n' });
  });

  it('has nothing else', async () => {
    expect((await probeHttp(`${url}/`)).status).toBe(404);
  });
});
