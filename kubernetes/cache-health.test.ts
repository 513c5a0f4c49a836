import { type MetricsServer, startMetricsServer } from '@edge-migration/runtime/http/metrics-server.ts';
import { Counter, Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { confirmedWithin, synced } from './cache-health.ts';
import { widgets } from './testing/resources.ts';

let server: MetricsServer;
let age = 0;
let listedAge = 0;
const registry = new Registry();
new Counter({ name: 'things_total', help: 'Things', registers: [registry] }).inc(3);

beforeEach(async () => {
  age = 0;
  listedAge = 0;
  const caches = [{ resource: widgets, confirmedAge: () => age, listedAge: () => listedAge }];
  const fresh = confirmedWithin(60_000, caches);
  server = await startMetricsServer({ registry, port: 0, alive: { fresh }, ready: { fresh, synced: synced(caches) } });
});

afterEach(() => server.close());

async function get(path: string, method = 'GET') {
  const response = await fetch(server.url + path, { method });
  return { status: response.status, text: await response.text(), type: response.headers.get('content-type') };
}

describe('the metrics server', () => {
  it('the metrics server serves the metrics', async () => {
    expect(await get('/metrics')).toMatchObject({
      status: 200,
      text: expect.stringContaining('things_total 3'),
      type: registry.contentType,
    });
  });

  it('the metrics server reports ok while all checks pass', async () => {
    expect(await get('/livez?verbose')).toMatchObject({ status: 200, text: 'ok\n' });
    expect(await get('/readyz')).toMatchObject({ status: 200, text: 'ok\n' });
  });

  it('the metrics server names the checks that fail', async () => {
    age = 60_001;
    expect(await get('/readyz')).toMatchObject({
      status: 500,
      text: '[-]fresh failed: widgets not heard of for 60 s\n[+]synced ok\n',
    });
    expect((await get('/livez')).status).toBe(500);
    age = 0;
    expect((await get('/livez')).status).toBe(200);
    listedAge = Number.POSITIVE_INFINITY;
    expect((await get('/readyz')).text).toContain('[-]synced failed: widgets not listed yet');
  });

  it('the metrics server serves no other paths', async () => {
    expect((await get('/')).status).toBe(404);
    expect((await get('/metrics', 'POST')).status).toBe(405);
  });

  it('the metrics server fails to start on a port that is taken', async () => {
    await expect(startMetricsServer({ registry, port: server.port })).rejects.toThrow(/EADDRINUSE/);
  });
});
