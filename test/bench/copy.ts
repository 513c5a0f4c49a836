/**
 * CPU cost of the copy: seeds a project, runs the copy's own process against a DynamoDB that accepts everything,
 * and prints what that process reports.
 *
 *   npm run bench:copy -- [--identities 200000] [--runs 1] [--json]
 */
import { parseArgs } from 'node:util';
import { startPostgres } from '../cluster/postgres.ts';
import { startStore } from './store.ts';
import { runWorker, seed } from './worker.ts';

const { values } = parseArgs({
  options: {
    identities: { type: 'string', default: '200000' },
    runs: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
    /** Folder for a V8 CPU profile of the worker. */
    profile: { type: 'string' },
  },
});

/** The fields used here of the output of `npm run copy -- --json`. */
interface Run {
  read: number;
  inserted: number;
  skipped: number;
  seconds: number;
  identitiesPerSecond: number;
  workerCpuSeconds: number;
  rssMb: number;
}

async function main(): Promise<void> {
  const identities = Number(values.identities);
  await using postgres = await startPostgres();
  const core = await seed(postgres, identities);
  await using target = await startStore(new URL('./null-dynamodb.ts', import.meta.url));
  const results: Row[] = [];
  for (let run = 0; run < Number(values.runs); run++) {
    results.push(measure(await runWorker('copy', core, target.endpoint, values.profile), identities));
  }
  console.table(results);
  const best = results.reduce((a, b) => (b.identitiesPerCpuSecond > a.identitiesPerCpuSecond ? b : a));
  if (values.json) console.log(JSON.stringify(best));
}

interface Row {
  identities: number;
  identitiesPerCpuSecond: number;
  identitiesPerSecond: number;
  rssMb: number;
  workerCpuSeconds: number;
}

function measure(run: Run, identities: number): Row {
  if (run.inserted !== identities) throw new Error(`${run.inserted} of ${identities} identities were inserted`);
  return {
    identities: run.read,
    identitiesPerCpuSecond: Math.round(run.read / run.workerCpuSeconds),
    identitiesPerSecond: run.identitiesPerSecond,
    rssMb: run.rssMb,
    workerCpuSeconds: run.workerCpuSeconds,
  };
}

await main();
