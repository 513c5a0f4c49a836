/**
 * Cost of thousands of projects to the console: runs its own process on a real kube-apiserver with many EdgeMigrations,
 * calls it as its callers do, and reads its CPU time and memory from the kernel and its requests from its metrics.
 *
 *   npm run bench:console -- [--migrations 5000] [--namespaces 500] [--allowed 300] [--listeners 50] [--seconds 30] [--json]
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { EDGE_MIGRATIONS, GROUP } from '@edge-migration/contract/edge-migration/api.ts';
import { createClient, type KubernetesClient, type Resource } from '@edge-migration/kubernetes/client.ts';
import { loadKubeConfig } from '@edge-migration/kubernetes/kube-config.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { freePort } from '../cluster/ports.ts';
import { probeHttp } from '../cluster/probe.ts';
import { type ManagedProcess, startProcess } from '../cluster/processes.ts';
import { createFolder, removeFolder } from '../cluster/reaper.ts';
import { waitFor } from '../cluster/wait.ts';
import { buildFleet } from '../console/fleet.ts';
import { createUser, VIEW } from '../console/run.ts';
import { installCrd } from '../integration/crd.ts';
import { cpuSeconds, residentMegabytes } from './usage.ts';

const { values } = parseArgs({
  options: {
    migrations: { type: 'string', default: '5000' },
    namespaces: { type: 'string', default: '500' },
    allowed: { type: 'string', default: '300' },
    listeners: { type: 'string', default: '50' },
    seconds: { type: 'string', default: '30' },
    json: { type: 'boolean', default: false },
  },
});
const [MIGRATIONS, NAMESPACES, ALLOWED, LISTENERS, SECONDS] = [
  ...[values.migrations, values.namespaces, values.allowed],
  ...[values.listeners, values.seconds],
].map(Number) as [number, number, number, number, number];

const HOME = 'console';
const CALLS = 60;
/** Event streams of one caller. */
const STREAMS_EACH = 10;
const PARALLEL = 16;
const MINUTE = 60_000;

const namespaceOf = (index: number) => `team-${index % NAMESPACES}`;

interface Bench {
  readonly client: KubernetesClient;
  readonly console: ManagedProcess;
  readonly url: string;
  readonly metrics: string;
}

async function main(): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const controlPlane = resources.use(await startControlPlane());
  const kubeConfig = loadKubeConfig(controlPlane.kubeconfig);
  const client = createClient({ kubeConfig, clock: systemClock, userAgent: 'edge-migration-bench' });
  resources.defer(() => client.close());
  await installCrd(client);
  await fill(client);
  const wide = await createWideUsers(client, Math.ceil(LISTENERS / STREAMS_EACH));
  const narrow = await createNarrowUser(client);
  const folder = createFolder('bench-console');
  resources.defer(() => removeFolder(folder));
  const begun = systemClock.monotonic();
  const { console: process, ...served } = await startConsoleProcess(controlPlane, folder);
  resources.defer(async () => void (await process.stop()));
  const startSeconds = Math.round(systemClock.monotonic() - begun) / 1000;
  const bench: Bench = { client, console: process, ...served };
  const rssMb = await residentMegabytes(process.pid);
  const calls = await measureCalls(bench, wide);
  const restricted = await measureRestricted(bench, narrow);
  const streams = await measureStreams(bench, wide);
  const most = await residentMegabytes(process.pid, 'VmHWM');
  const memory = { startSeconds, rssMb, mostMb: most };
  console.table(calls);
  console.table([{ ...restricted }]);
  console.table([{ ...streams }]);
  console.table([memory]);
  if (values.json) console.log(JSON.stringify({ calls, restricted, streams, memory }));
}

/** Limits how many tasks run in parallel. */
async function each<T>(items: readonly T[], work: (item: T, index: number) => Promise<unknown>): Promise<void> {
  const waiting = items.entries();
  await Promise.all(
    Array.from({ length: PARALLEL }, async () => {
      for (const [index, item] of waiting) await work(item, index);
    }),
  );
}

const CORE = (plural: string, kind: string): Resource => ({
  group: '',
  version: 'v1',
  plural,
  kind,
  namespaced: false,
});
const RBAC = (plural: string, kind: string, namespaced: boolean): Resource => ({
  ...{ group: 'rbac.authorization.k8s.io', version: 'v1', plural, kind, namespaced },
});

/** EdgeMigrations in all states, spread over the namespaces. */
async function fill(client: KubernetesClient): Promise<void> {
  const names = [HOME, ...Array.from({ length: NAMESPACES }, (_, index) => namespaceOf(index))];
  const namespaces = CORE('namespaces', 'Namespace');
  await each(names, (name) => client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }));
  const fleet = buildFleet(Date.now());
  await each(Array.from({ length: MIGRATIONS }), async (_, index) => {
    const { spec, status, projectName } = fleet[index % fleet.length]!;
    const reference = { namespace: namespaceOf(index), name: `project-${index + 1}` };
    const annotations = { [`${GROUP}/project-name`]: `${projectName ?? 'Unnamed'} ${index + 1}` };
    const head = { apiVersion: `${GROUP}/${EDGE_MIGRATIONS.version}`, kind: EDGE_MIGRATIONS.kind };
    const object = { ...head, metadata: { ...reference, annotations }, spec: { ...spec, projectId: index + 1 } };
    await client.create(EDGE_MIGRATIONS, object);
    if (status) await client.patch(EDGE_MIGRATIONS, reference, { status }, { subresource: 'status' });
  });
}

/** Creates accounts that may read all namespaces. @returns their tokens */
async function createWideUsers(client: KubernetesClient, count: number): Promise<string[]> {
  const rules = [{ apiGroups: [GROUP], resources: [EDGE_MIGRATIONS.plural], verbs: VIEW }];
  const role = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name: 'look' }, rules };
  await client.create(RBAC('clusterroles', 'ClusterRole', false), role);
  const tokens: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const name = `wide-${index}`;
    tokens.push(await createUser(client, HOME, name, VIEW));
    await client.create(RBAC('clusterrolebindings', 'ClusterRoleBinding', false), {
      ...{ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding', metadata: { name } },
      ...bind(name),
    });
  }
  return tokens;
}

const bind = (name: string) => ({
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'look' },
  subjects: [{ kind: 'ServiceAccount', name, namespace: HOME }],
});

/** Creates an account that may read some of the namespaces. */
async function createNarrowUser(client: KubernetesClient): Promise<string> {
  const token = await createUser(client, HOME, 'narrow', VIEW);
  await each(Array.from({ length: ALLOWED }), (_, index) =>
    client.create(RBAC('rolebindings', 'RoleBinding', true), {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { namespace: namespaceOf(index), name: 'narrow' },
      ...bind('narrow'),
    }),
  );
  return token;
}

async function startConsoleProcess({ kubeconfig }: ControlPlane, folder: string) {
  const [port, metricsPort] = [await freePort(), await freePort()];
  const managed = await startProcess({
    name: 'console',
    command: process.execPath,
    // As the chart starts it.
    args: ['--max-semi-space-size=8', '--max-old-space-size=192', join(import.meta.dirname, '../../bin/console.ts')],
    folder,
    env: {
      ...process.env,
      KUBECONFIG: kubeconfig,
      EDGE_MIGRATION_NAMESPACE: HOME,
      EDGE_MIGRATION_LISTEN_HOST: '127.0.0.1',
      EDGE_MIGRATION_LISTEN_PORT: String(port),
      EDGE_MIGRATION_METRICS_HOST: '127.0.0.1',
      EDGE_MIGRATION_METRICS_PORT: String(metricsPort),
    },
  });
  const metrics = `http://127.0.0.1:${metricsPort}`;
  const isReady = async () => (await probeHttp(`${metrics}/readyz`)).status === 200;
  await waitFor(isReady, { for: 'the console', timeoutMs: 2 * MINUTE, intervalMs: 50 });
  return { console: managed, url: `http://127.0.0.1:${port}`, metrics };
}

const headersOf = (token: string) => ({ authorization: `Bearer ${token}` });

/** @returns milliseconds, and the response */
async function call({ url }: Bench, token: string, query: string) {
  const begun = systemClock.monotonic();
  const response = await fetch(`${url}/api/v1/projects/?${query}`, { headers: headersOf(token) });
  const body = (await response.json()) as { count: number; detail?: string };
  if (!response.ok) throw new Error(`${response.status} ${body.detail}`);
  return { milliseconds: systemClock.monotonic() - begun, count: body.count };
}

const QUERIES: Readonly<Record<string, string>> = {
  'first page': '',
  'last page, by deadline': `page=${Math.ceil(MIGRATIONS / 50)}&ordering=-deadline`,
  'search in names': 'search=acme+web',
  'search for one': `search=project-${MIGRATIONS}`,
  'filter by state': 'phase=Copying&page_size=200',
};

const quantile = (numbers: readonly number[], share: number) =>
  Math.round(
    10 * numbers.toSorted((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * share))]!,
  ) / 10;

/** Calls in sequence from several callers, within their limits. */
async function measureCalls(bench: Bench, tokens: readonly string[]) {
  const rows = [];
  for (const [name, query] of Object.entries(QUERIES)) {
    const times: number[] = [];
    let found = 0;
    const before = await cpuSeconds(bench.console.pid);
    for (let index = 0; index < CALLS; index += 1) {
      const { milliseconds, count } = await call(bench, tokens[index % tokens.length]!, query);
      times.push(milliseconds);
      found = count;
    }
    const cpuMs = Math.round((10_000 * ((await cpuSeconds(bench.console.pid)) - before)) / CALLS) / 10;
    rows.push({ call: name, found, medianMs: quantile(times, 0.5), p95Ms: quantile(times, 0.95), cpuMs });
  }
  return rows;
}

/** Counts reviews and all other writes, which do nothing here. */
async function readReviews({ metrics }: Bench): Promise<number> {
  const { body } = await probeHttp(`${metrics}/metrics`);
  const counts = [...body.matchAll(/^rest_client_requests_total\{[^}]*method="POST"[^}]*\} (\d+)/gm)];
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

/** A page open for a user with rights in hundreds of namespaces: requested every second, as live lists are. */
async function measureRestricted(bench: Bench, token: string) {
  const before = await readReviews(bench);
  const first = await call(bench, token, '');
  const firstReviews = (await readReviews(bench)) - before;
  const times: number[] = [];
  const begun = systemClock.monotonic();
  for (let second = 1; second <= 2 * SECONDS; second += 1) {
    await systemClock.sleep(Math.max(0, begun + second * 1000 - systemClock.monotonic()));
    times.push((await call(bench, token, '')).milliseconds);
  }
  const seconds = (systemClock.monotonic() - begun) / 1000;
  const reviews = (await readReviews(bench)) - before - firstReviews;
  return {
    ...{ found: first.count, firstMs: Math.round(first.milliseconds), firstReviews },
    ...{ medianMs: quantile(times, 0.5), p95Ms: quantile(times, 0.95) },
    reviewsPerSecond: Math.round((10 * reviews) / seconds) / 10,
  };
}

const CHANGES_PER_SECOND = 50;

/** Listeners of all projects while these change. */
async function measureStreams(bench: Bench, tokens: readonly string[]) {
  const stop = new AbortController();
  const delays: number[] = [];
  let events = 0;
  const hear = (data: string) => {
    events += 1;
    const [, sent] = /"message":"changed at (\d+)"/.exec(data) ?? [];
    if (sent !== undefined) delays.push(Date.now() - Number(sent));
  };
  const open = Array.from({ length: LISTENERS }, (_, index) =>
    listen(bench, tokens[Math.floor(index / STREAMS_EACH)]!, stop.signal, hear),
  );
  await Promise.all(open.map(({ ready }) => ready));
  const before = { cpu: await cpuSeconds(bench.console.pid), time: systemClock.monotonic() };
  for (let second = 0; second < SECONDS; second += 1) {
    await each(Array.from({ length: CHANGES_PER_SECOND }), async (_, index) => {
      const project = (second * CHANGES_PER_SECOND + index) % MIGRATIONS;
      const reference = { namespace: namespaceOf(project), name: `project-${project + 1}` };
      const status = { message: `changed at ${Date.now()}` };
      await bench.client.patch(EDGE_MIGRATIONS, reference, { status }, { subresource: 'status' });
    });
    await systemClock.sleep(Math.max(0, before.time + (second + 1) * 1000 - systemClock.monotonic()));
  }
  const seconds = (systemClock.monotonic() - before.time) / 1000;
  const cpuPercent = Math.round((1000 * ((await cpuSeconds(bench.console.pid)) - before.cpu)) / seconds) / 10;
  stop.abort();
  await Promise.all(open.map(({ ended }) => ended));
  return {
    ...{ listeners: LISTENERS, changesPerSecond: Math.round((CHANGES_PER_SECOND * SECONDS) / seconds) },
    ...{ eventsPerSecond: Math.round(events / seconds), cpuPercent },
    ...{ medianDelayMs: quantile(delays, 0.5), p95DelayMs: quantile(delays, 0.95) },
  };
}

/** @param hear called with the data of each project */
function listen({ url }: Bench, token: string, signal: AbortSignal, hear: (data: string) => void) {
  const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
  const read = async () => {
    const response = await fetch(`${url}/api/v1/projects/events/`, { headers: headersOf(token), signal });
    if (!response.ok || response.body === null) throw new Error(`${response.status} ${await response.text()}`);
    let text = '';
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      const parts = (text + chunk).split('\n\n');
      text = parts.pop() ?? '';
      for (const part of parts) {
        if (part.includes('event: ready')) resolve();
        else if (part.startsWith('event: project')) hear(part);
      }
    }
  };
  const ended = read().catch((error: unknown) => {
    reject(error);
    if (!signal.aborted) throw error;
  });
  return { ready, ended };
}

await main();
