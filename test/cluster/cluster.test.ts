import pg from 'pg';
import { expect, test } from 'vitest';
import { startCluster } from './cluster.ts';
import { probeHttp, probeTcp } from './probe.ts';
import { waitFor } from './wait.ts';

const images = { server: { entrypoint: ['node', '-e'] } };

test('one call starts a whole cluster, and another call a second one beside it', async () => {
  await using both = new AsyncDisposableStack();
  const [whole, bare] = await Promise.all([
    startCluster({ images }).then((cluster) => both.use(cluster)),
    startCluster({ images, postgres: false, nats: false, dynamodb: false }).then((cluster) => both.use(cluster)),
  ]);
  const client = new pg.Client({ connectionString: whole.postgres.url });
  await client.connect();
  expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  await client.end();
  expect(await probeTcp('127.0.0.1', whole.nats.port)).toBe(true);
  expect((await probeHttp(whole.dynamodb.endpoint)).status).toBe(400);

  // The same port in both clusters, because each pod has its own address.
  const pod = serverPod(8080);
  await Promise.all([whole, bare].map((cluster) => cluster.kubectl(['apply', '-f', '-'], { input: pod })));
  for (const cluster of [whole, bare]) {
    const get = ['get', 'pod', 'server', '-o', 'jsonpath={.status.podIP}'];
    const podIP = await waitFor(async () => (await cluster.kubectl(get)) || null, { for: 'a pod IP' });
    const answer = await waitFor(() => probeHttp(`http://${podIP}:8080`), { for: 'the server' });
    expect(answer.body).toBe(podIP);
  }
});

test('an aborted start leaves no process behind and rejects with the reason', async () => {
  const countProcesses = () => process.getActiveResourcesInfo().filter((type) => type === 'ProcessWrap').length;
  const aborting = new AbortController();
  const start = startCluster({ images, signal: aborting.signal });
  start.catch(() => undefined);
  await waitFor(() => countProcesses() > 1, { for: 'its processes' });
  aborting.abort(new Error('changed my mind'));
  await expect(start).rejects.toThrow('changed my mind');
  expect(countProcesses()).toBe(0);
});

/** A pod that answers with its own address. */
function serverPod(port: number): string {
  const script = `require('node:http').createServer((_, response) => response.end(process.env.IP)).listen(${port}, process.env.IP)`;
  const env = [{ name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }];
  const containers = [{ name: 'main', image: 'server', args: [script], env }];
  return JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'server' }, spec: { containers } });
}
