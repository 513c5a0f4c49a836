/**
 * How much CPU replay costs, and how late it is: runs the applier's own process between real NATS, Postgres, DynamoDB
 * Local and kube-apiserver, and reads its CPU time from the kernel.
 *
 *   npm run bench:replay -- [--identities 4000] [--foreign 200000] [--seconds 20] [--profile <folder>] [--json]
 */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { systemClock } from '@edge-migration/identity/clock.ts';
import { execute, insertRows } from '@edge-migration/identity/fixtures/core-rows.ts';
import { STREAM, type WriteEvent } from '@edge-migration/identity/write-event.ts';
import { EDGE_MIGRATIONS } from '@edge-migration/operator/edge-migration/api.ts';
import { createClient } from '@edge-migration/operator/kubernetes/client.ts';
import { loadKubeConfig } from '@edge-migration/operator/kubernetes/kube-config.ts';
import { EVENT_SUBJECT, ensureStreams } from '@edge-migration/replay-sidecar/stream.ts';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import pg from 'pg';
import { startControlPlane } from '../cluster/control-plane.ts';
import { startDynamodb } from '../cluster/dynamodb.ts';
import { startNats } from '../cluster/nats.ts';
import { freePort } from '../cluster/ports.ts';
import { startPostgres } from '../cluster/postgres.ts';
import { probeHttp } from '../cluster/probe.ts';
import { startProcess } from '../cluster/processes.ts';
import { createFolder, removeFolder } from '../cluster/reaper.ts';
import { waitFor } from '../cluster/wait.ts';
import { createTables } from '../edge/tables.ts';
import { installCrd } from '../integration/crd.ts';

const { values } = parseArgs({
  options: {
    identities: { type: 'string', default: '4000' },
    foreign: { type: 'string', default: '200000' },
    /** Of a steady load, for the lag. */
    seconds: { type: 'string', default: '20' },
    rate: { type: 'string', default: '500' },
    /** Folder for a V8 CPU profile of the applier. */
    profile: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});

const PROJECT = 1;
const FOREIGN = 2;
/** `/proc/<pid>/stat` counts in hundredths of a second. */
const TICKS_PER_SECOND = 100;
const UNDER_WAY = 1000;

async function main(): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const folder = createFolder('bench-replay');
  resources.defer(() => removeFolder(folder));
  const nats = resources.use(await startNats());
  const url = await prepareCore(resources.use(await startPostgres()).urlOf);
  const tables = resources.use(await createTables(resources.use(await startDynamodb())));
  const { kubeconfig } = resources.use(await startControlPlane());
  await createMigration(kubeconfig);
  const connection = await connect({ servers: nats.url });
  resources.defer(() => connection.close());
  const manager = await jetstreamManager(connection);
  await ensureStreams(manager, { streamReplicas: 1, streamMaxBytes: 2 * 1024 ** 3, streamDuplicateWindowSeconds: 120 });

  const port = await freePort();
  const applier = await startProcess({
    name: 'applier',
    command: process.execPath,
    args: [
      ...(values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values.profile}`]),
      fileURLToPath(new URL('../../replay-sidecar/applier/main.ts', import.meta.url)),
    ],
    env: {
      PATH: process.env['PATH'],
      KUBECONFIG: kubeconfig,
      AWS_ACCESS_KEY_ID: 'local',
      AWS_SECRET_ACCESS_KEY: 'local',
      EDGE_MIGRATION_DATABASE_URL: url,
      EDGE_MIGRATION_DYNAMODB_ENDPOINT: tables.settings.dynamodbEndpoint,
      EDGE_MIGRATION_IDENTITIES_TABLE: tables.settings.identitiesTable,
      EDGE_MIGRATION_NATS_SERVERS: nats.url,
      EDGE_MIGRATION_PARKED_MAX_BYTES: String(1024 ** 3),
      EDGE_MIGRATION_MAX_WRITE_UNITS_PER_SECOND: '400000',
      EDGE_MIGRATION_INSTANCE: 'bench',
      EDGE_MIGRATION_METRICS_HOST: '127.0.0.1',
      EDGE_MIGRATION_METRICS_PORT: String(port),
      EDGE_MIGRATION_LOG_LEVEL: 'warn',
    },
    folder,
  });
  resources.defer(async () => void (await applier.stop()));
  const metrics = `http://127.0.0.1:${port}`;
  await waitFor(async () => (await probeHttp(`${metrics}/readyz`)).status === 200, { for: 'the applier' });

  const identities = Number(values.identities);
  const isDrained = async () => (await manager.streams.info(STREAM)).state.messages === 0;

  /** Events for each second of the applier's CPU. */
  async function measure(what: string, count: number, project: number): Promise<number> {
    const before = await cpuSeconds(applier.pid);
    await publishAll(connection, count, (index) => written(project, `person-${index % identities}`));
    await waitFor(isDrained, { for: what, timeoutMs: 600_000 });
    const cpu = (await cpuSeconds(applier.pid)) - before;
    const perCpuSecond = Math.round(count / cpu);
    console.error(`${what}: ${count} events, ${cpu.toFixed(2)} s of CPU, ${perCpuSecond}/CPU s`);
    return perCpuSecond;
  }

  await measure('warm-up', 500, FOREIGN);
  const insertsPerCpuSecond = await measure('inserts', identities, PROJECT);
  const unchangedPerCpuSecond = await measure('unchanged', identities, PROJECT);
  await execute(url, `UPDATE environments_trait SET string_value = 'changed'`);
  const updatesPerCpuSecond = await measure('updates', identities, PROJECT);
  const droppedPerCpuSecond = await measure('dropped', Number(values.foreign), FOREIGN);
  const before = await lagBuckets(metrics);
  await publishSteadily(connection, identities);
  await waitFor(isDrained, { for: 'the steady load' });
  const p99LagMillis = percentile(before, await lagBuckets(metrics), 0.99);
  const rssMb = await residentMegabytes(applier.pid);
  const result = {
    unchangedPerCpuSecond,
    updatesPerCpuSecond,
    insertsPerCpuSecond,
    droppedPerCpuSecond,
    p99LagMillis,
    rssMb,
  };
  console.table([result]);
  if (values.json) console.log(JSON.stringify(result));
}

async function prepareCore(urlOf: (database: string) => string): Promise<string> {
  const admin = new pg.Client({ connectionString: urlOf('postgres') });
  await admin.connect();
  await admin.query('CREATE DATABASE core');
  await admin.end();
  const url = urlOf('core');
  await execute(url, await readFile(new URL('../core/schema.sql', import.meta.url), 'utf8'));
  const ids = Array.from({ length: Number(values.identities) }, (_, index) => index);
  await insertRows(url, {
    organisations_organisation: [{ id: 1 }],
    projects_project: [{ id: PROJECT }, { id: FOREIGN }],
    environments_environment: [PROJECT, FOREIGN].map((id) => ({ id, project_id: id, api_key: `key-${id}` })),
    environments_identity: ids.map((id) => ({ id: id + 1, identifier: `person-${id}`, environment_id: PROJECT })),
    environments_trait: ids.flatMap((id) =>
      ['plan', 'country', 'app_version'].map((trait_key, index) => ({
        id: 3 * id + index + 1,
        identity_id: id + 1,
        trait_key,
        value_type: 'unicode',
        string_value: `${trait_key} of ${id}`,
      })),
    ),
  });
  await execute(url, 'ANALYZE');
  return url;
}

async function createMigration(kubeconfig: string): Promise<void> {
  const client = createClient({ kubeConfig: loadKubeConfig(kubeconfig), clock: systemClock, userAgent: 'bench' });
  await installCrd(client);
  const object = {
    apiVersion: 'edge.flagsmith.com/v1alpha1',
    kind: 'EdgeMigration',
    metadata: { name: `project-${PROJECT}`, namespace: 'default' },
  };
  await client.apply(EDGE_MIGRATIONS, { ...object, spec: { projectId: PROJECT } }, { fieldManager: 'bench' });
  const conditions = ['Accepted', 'Copied'].map((type) => ({
    type,
    status: 'True',
    reason: 'Bench',
    message: '',
    lastTransitionTime: new Date().toISOString(),
  }));
  const options = { fieldManager: 'bench', subresource: 'status' };
  await client.apply(EDGE_MIGRATIONS, { ...object, status: { conditions } }, options);
  await client.close();
}

function written(project: number, identifier: string): WriteEvent {
  return {
    version: 1,
    id: randomUUID(),
    target: { kind: 'identity', environment: { clientKey: `key-${project}` }, identifier },
    touched: { traits: ['plan', 'country'], overrides: [] },
    traitGates: ['clientTraits', 'persistTraitData'],
    outcome: 'known',
    observedTime: new Date().toISOString(),
    route: 'sdk-identify',
    instance: 'flagsmith-api-6c5d9f7b8-x2x4z/8f14e45f-ceea-467f-9af1-1a2b3c4d5e6f',
  };
}

async function publishAll(
  connection: NatsConnection,
  count: number,
  make: (index: number) => WriteEvent,
): Promise<void> {
  const client = jetstream(connection);
  for (let from = 0; from < count; from += UNDER_WAY) {
    const events = Array.from({ length: Math.min(UNDER_WAY, count - from) }, (_, index) => make(from + index));
    await Promise.all(events.map((event) => client.publish(EVENT_SUBJECT, JSON.stringify(event), { msgID: event.id })));
  }
}

/** In portions of 50 ms. */
async function publishSteadily(connection: NatsConnection, identities: number): Promise<void> {
  const portion = Number(values.rate) / 20;
  const started = systemClock.monotonic();
  for (let count = 0; count < Number(values.seconds) * 20; count++) {
    await publishAll(connection, portion, () => written(PROJECT, `person-${Math.floor(Math.random() * identities)}`));
    await systemClock.sleep(Math.max(0, started + (count + 1) * 50 - systemClock.monotonic()));
  }
}

async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

async function residentMegabytes(pid: number): Promise<number> {
  const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Math.round(Number(kilobytes) / 1024);
}

type Buckets = readonly { readonly below: number; readonly count: number }[];

/** Events by lag, cumulative, ascending; seconds. */
async function lagBuckets(url: string): Promise<Buckets> {
  const { body } = await probeHttp(`${url}/metrics`);
  const pattern = /^edge_migration_applier_lag_seconds_bucket\{le="([^"]+)",project="1"\} (\d+)/gm;
  return [...body.matchAll(pattern)].map(([, below, count]) => ({
    below: below === '+Inf' ? Number.POSITIVE_INFINITY : Number(below),
    count: Number(count),
  }));
}

/** Milliseconds; as exact as the buckets are narrow. */
function percentile(before: Buckets, after: Buckets, share: number): number {
  const counts = after.map(({ below, count }, index) => ({ below, count: count - (before[index]?.count ?? 0) }));
  const wanted = (counts.at(-1)?.count ?? 0) * share;
  let [lower, counted] = [0, 0];
  for (const { below, count } of counts) {
    if (count >= wanted) {
      const part = below === Number.POSITIVE_INFINITY ? 0 : (wanted - counted) / Math.max(1, count - counted);
      return Math.round(1000 * (lower + part * (Math.min(below, 1e9) - lower)));
    }
    [lower, counted] = [below, count];
  }
  return 0;
}

await main();
