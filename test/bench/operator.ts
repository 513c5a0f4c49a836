/**
 * Cost of settled migrations: runs the operator's own process on a real kube-apiserver with many EdgeMigrations that
 * have nothing left to do, and reads its CPU time and memory from the kernel and its requests from its metrics.
 *
 *   npm run bench:operator -- [--migrations 1000] [--seconds 60] [--json]
 *
 * Measured twice: `finished`, and `following`, with the replay window open, so that each is checked every few seconds.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { EDGE_MIGRATIONS, parseEdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import { recordedCondition } from '@edge-migration/operator/edge-migration/conditions.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { startDynamodb } from '../cluster/dynamodb.ts';
import { startNats } from '../cluster/nats.ts';
import { freePort } from '../cluster/ports.ts';
import { startPostgres } from '../cluster/postgres.ts';
import { probeHttp } from '../cluster/probe.ts';
import type { ManagedProcess } from '../cluster/processes.ts';
import { waitFor } from '../cluster/wait.ts';
import { createEmptyCore } from '../core/database.ts';
import { NAMESPACE, startWorld, type World } from '../e2e/operator-world.ts';
import { createTables } from '../edge/tables.ts';
import { cpuSeconds, residentMegabytes } from './usage.ts';

const { values } = parseArgs({
  options: {
    migrations: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '60' },
    json: { type: 'boolean', default: false },
  },
});

const MIGRATIONS = Number(values.migrations);
/** Created at the same time. */
const UNDER_WAY = 25;
const MINUTE = 60_000;

interface Cost {
  readonly state: string;
  readonly migrations: number;
  /** Percentage of one core. */
  readonly cpuPercent: number;
  readonly rssMb: number;
  readonly apiWrites: number;
  readonly apiReads: number;
}

async function main(): Promise<void> {
  await using resources = new AsyncDisposableStack();
  const nats = resources.use(await startNats());
  const databaseUrl = await createEmptyCore(resources.use(await startPostgres()).urlOf, 'core');
  const tables = resources.use(await createTables(resources.use(await startDynamodb())));
  const world = resources.use(await startWorld({ databaseUrl, tables }));
  await migrateAll(world);
  const finished = await measure(world, 'finished', {});
  const following = await measure(world, 'following', {
    EDGE_MIGRATION_CAPTURE: 'Required',
    EDGE_MIGRATION_NATS_SERVERS: nats.url,
    EDGE_MIGRATION_STREAM_MAX_BYTES: String(64 * 1024 ** 2),
    EDGE_MIGRATION_CORE_API_STATIC_COUNT: '1',
  });
  const result = [finished, following];
  console.table(result);
  if (values.json) console.log(JSON.stringify(result));
}

/** Empty projects need no pods, and complete all the same. */
async function migrateAll(world: World): Promise<void> {
  const { operator } = await start(world, { EDGE_MIGRATION_CONCURRENCY: '16' });
  const projectIds = await world.addProjects(MIGRATIONS, { empty: true });
  for (let from = 0; from < projectIds.length; from += UNDER_WAY) {
    await Promise.all(projectIds.slice(from, from + UNDER_WAY).map((projectId) => world.create(projectId)));
  }
  const areCopied = async () => {
    const { items } = await world.client.list(EDGE_MIGRATIONS, { namespace: NAMESPACE });
    const conditionsOf = (item: object) => parseEdgeMigration(item).status.conditions;
    return items.every((item) => recordedCondition(conditionsOf(item), 'Copied')?.status === 'True');
  };
  await waitFor(areCopied, { for: 'all copies', timeoutMs: 20 * MINUTE, intervalMs: 2000 });
  await operator.stop();
}

async function start(world: World, settings: Readonly<Record<string, string>>) {
  const port = await freePort();
  const operator = await world.startOperator(world.controlPlane.kubeconfig, {
    EDGE_MIGRATION_METRICS_PORT: String(port),
    EDGE_MIGRATION_LOG_LEVEL: 'warn',
    // In the image the files are compiled already; here the first start fills the cache that those measured read.
    NODE_COMPILE_CACHE: join(world.folder, 'compiled'),
    ...settings,
  });
  const metrics = `http://127.0.0.1:${port}`;
  const isReady = async () => (await probeHttp(`${metrics}/readyz`)).status === 200;
  await waitFor(isReady, { for: 'the operator', timeoutMs: 2 * MINUTE });
  return { operator, metrics };
}

/** Costs of a period without requests, after the operator's initial reports. */
async function measure(world: World, state: string, settings: Readonly<Record<string, string>>): Promise<Cost> {
  // Includes a list within the measured time: ten times as often as by default.
  const { operator, metrics } = await start(world, { EDGE_MIGRATION_RELIST_SECONDS: '60', ...settings });
  let before = await sample(operator, metrics);
  for (let quiet = false; !quiet; ) {
    // Longer than the interval of their checks.
    await systemClock.sleep(15_000);
    const now = await sample(operator, metrics);
    quiet = now.reconciles >= MIGRATIONS && now.writes === before.writes;
    before = now;
  }
  await systemClock.sleep(Number(values.seconds) * 1000);
  const after = await sample(operator, metrics);
  const cost = {
    state,
    migrations: MIGRATIONS,
    cpuPercent: Math.round((1000 * (after.cpu - before.cpu)) / ((after.time - before.time) / 1000)) / 10,
    rssMb: await residentMegabytes(operator.pid),
    apiWrites: after.writes - before.writes,
    apiReads: after.reads - before.reads,
  };
  await operator.stop();
  return cost;
}

async function sample({ pid }: ManagedProcess, url: string) {
  const { body } = await probeHttp(`${url}/metrics`);
  const sum = (pattern: RegExp) => [...body.matchAll(pattern)].reduce((total, [, count]) => total + Number(count), 0);
  return {
    time: systemClock.monotonic(),
    cpu: await cpuSeconds(pid),
    // Only leases are replaced (PUT).
    writes: sum(/^rest_client_requests_total\{[^}]*method="(?:POST|PATCH|DELETE)"[^}]*\} (\d+)/gm),
    reads: sum(/^rest_client_requests_total\{[^}]*method="GET"[^}]*\} (\d+)/gm),
    reconciles: sum(/^controller_runtime_reconcile_total\{[^}]*\} (\d+)/gm),
  };
}

await main();
