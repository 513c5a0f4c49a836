/**
 * CPU cost and lag of replay: runs the applier's own process between real NATS, Postgres and
 * kube-apiserver, once with DynamoDB Local and once with a store that costs nothing, and reads its CPU time from the
 * kernel.
 *
 *   npm run bench:replay -- [--identities 4000] [--foreign 200000] [--seconds 20] [--backlog 1000000]
 *                           [--profile <folder>] [--json]
 */
import { parseArgs } from 'node:util';
import { execute } from '@edge-migration/identity/fixtures/core-rows.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { startDynamodb } from '../cluster/dynamodb.ts';
import { waitFor } from '../cluster/wait.ts';
import { createTables } from '../edge/tables.ts';
import { publishAll, publishSteadily, written } from './replay/events.ts';
import { lagBuckets, percentile } from './replay/figures.ts';
import { type Applier, FOREIGN, FRESH, KNOWN, openStage, type Stage, startNullStore } from './replay/stage.ts';
import { cpuSeconds, residentMegabytes } from './usage.ts';

const { values } = parseArgs({
  options: {
    identities: { type: 'string', default: '4000' },
    foreign: { type: 'string', default: '200000' },
    /** Duration of the steady load, for the lag. */
    seconds: { type: 'string', default: '20' },
    /** Rate of that load, in events a second. */
    rate: { type: 'string', default: '500' },
    /** Events published before the applier starts; none by default. */
    backlog: { type: 'string', default: '0' },
    /** Folder for V8 CPU profiles of the applier. */
    profile: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});

const identities = Number(values.identities);
const TIMEOUT_MS = 3_600_000;

async function main(): Promise<void> {
  await using stage = await openStage(identities, values.profile);
  const result = {
    ...(await withDynamodb(stage)),
    ...(await withNullStore(stage)),
    ...(await withBacklog(stage, Number(values.backlog))),
  };
  console.table(result);
  if (values.json) console.log(JSON.stringify(result));
}

async function withDynamodb(stage: Stage) {
  await using dynamodb = await startDynamodb();
  await using tables = await createTables(dynamodb);
  const { dynamodbEndpoint: endpoint, identitiesTable } = tables.settings;
  await using applier = await stage.startApplier({ endpoint, identitiesTable });
  const measure = createMeasure(stage, applier, 'DynamoDB Local');
  await measure('warm-up', 500, FOREIGN);
  const insertsPerCpuSecond = await measure('inserts', identities, FRESH);
  const unchangedPerCpuSecond = await measure('unchanged', identities, FRESH);
  await setPlan(stage, 'changed');
  const updatesPerCpuSecond = await measure('updates', identities, FRESH);
  const before = await lagBuckets(applier.metrics, FRESH);
  const make = () => written(FRESH, `person-${Math.floor(Math.random() * identities)}`);
  await publishSteadily(stage.connection, { rate: Number(values.rate), seconds: Number(values.seconds), make });
  await waitFor(stage.isDrained, { for: 'the steady load', timeoutMs: TIMEOUT_MS });
  const p99LagMs = percentile(before, await lagBuckets(applier.metrics, FRESH), 0.99);
  return { unchangedPerCpuSecond, updatesPerCpuSecond, insertsPerCpuSecond, p99LagMs };
}

async function withNullStore(stage: Stage) {
  await using store = await startNullStore();
  await using applier = await stage.startApplier({ endpoint: store.endpoint, identitiesTable: 'identities' });
  const measure = createMeasure(stage, applier, 'null store');
  await setPlan(stage, undefined);
  await measure('warm-up', 500, FOREIGN);
  const nullInsertsPerCpuSecond = await measure('inserts', identities, FRESH);
  const nullUnchangedPerCpuSecond = await measure('unchanged', identities, KNOWN);
  await setPlan(stage, 'changed');
  const nullUpdatesPerCpuSecond = await measure('updates', identities, KNOWN);
  const droppedPerCpuSecond = await measure('dropped', Number(values.foreign), FOREIGN);
  const rssMb = await residentMegabytes(applier.process.pid);
  return { nullUnchangedPerCpuSecond, nullUpdatesPerCpuSecond, nullInsertsPerCpuSecond, droppedPerCpuSecond, rssMb };
}

/** Memory while a backlog is drained: at the beginning, after a tenth of the time, and the peak. */
async function withBacklog(stage: Stage, count: number) {
  if (count === 0) return {};
  await using store = await startNullStore();
  // In no order, so that the events of one identity are not adjacent.
  await publishAll(stage.connection, count, () => written(KNOWN, `person-${Math.floor(Math.random() * identities)}`));
  await using applier = await stage.startApplier({ endpoint: store.endpoint, identitiesTable: 'identities' });
  const started = systemClock.monotonic();
  const samples: number[] = [];
  const sample = async () => {
    samples.push(await residentMegabytes(applier.process.pid));
    return stage.isDrained();
  };
  await waitFor(sample, { for: 'the backlog', timeoutMs: TIMEOUT_MS, intervalMs: 250 });
  const seconds = (systemClock.monotonic() - started) / 1000;
  const median = (part: number[]) => part.toSorted((a, b) => a - b)[part.length >> 1] ?? 0;
  const half = samples.length >> 1;
  return {
    backlogEvents: count,
    backlogPerSecond: Math.round(count / seconds),
    backlogFirstHalfRssMb: median(samples.slice(0, half)),
    backlogSecondHalfRssMb: median(samples.slice(half)),
    backlogMostRssMb: Math.max(...samples),
  };
}

/** Events per second of the applier's CPU time. */
function createMeasure({ connection, isDrained }: Stage, applier: Applier, store: string) {
  return async (what: string, count: number, project: number): Promise<number> => {
    const before = await cpuSeconds(applier.process.pid);
    await publishAll(connection, count, (index) => written(project, `person-${index % identities}`));
    await waitFor(isDrained, { for: what, timeoutMs: TIMEOUT_MS });
    const cpu = (await cpuSeconds(applier.process.pid)) - before;
    const perCpuSecond = Math.round(count / cpu);
    console.error(`${store}, ${what}: ${count} events, ${cpu.toFixed(2)} s of CPU, ${perCpuSecond}/CPU s`);
    return perCpuSecond;
  };
}

/** Another plan for all; undefined: their initial one. */
function setPlan({ databaseUrl }: Stage, plan: string | undefined): Promise<void> {
  const value = plan === undefined ? `'plan of ' || substr(i.identifier, 8)` : `'${plan}'`;
  return execute(
    databaseUrl,
    `UPDATE environments_trait t SET string_value = ${value}
       FROM environments_identity i WHERE i.id = t.identity_id AND t.trait_key = 'plan'`,
  );
}

await main();
