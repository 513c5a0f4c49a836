/**
 * CPU cost of a comparison: seeds a project, copies it with the copy's own process into a DynamoDB that only stores
 * and returns documents, compares the two with the comparison's own process, and prints what that process reports.
 *
 *   npm run bench:verify -- [--identities 200000] [--runs 1] [--json]
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
    /** Folder for a V8 CPU profile of the comparison. */
    profile: { type: 'string' },
  },
});

/** The fields used here of the output of `npm run copy -- --json` and `npm run verify -- --json`. */
interface Run {
  workerCpuSeconds: number;
  rssMb: number;
  equal: number;
  identities: number;
  writeUnits: number;
  coreChecksum: string;
  edgeChecksum: string;
}

interface Row {
  identities: number;
  identitiesPerCpuSecond: number;
  cpuShareOfCopy: number;
  writeUnits: number;
  rssMb: number;
}

async function main(): Promise<void> {
  const identities = Number(values.identities);
  await using postgres = await startPostgres();
  const core = await seed(postgres, identities);
  await using target = await startStore(new URL('./memory-dynamodb.ts', import.meta.url));
  console.error('Copying');
  const copied = await runWorker<Run>('copy', core, target.endpoint);
  const rows: Row[] = [];
  for (let each = 0; each < Number(values.runs); each++) {
    console.error('Comparing');
    rows.push(measure(await runWorker('verify', core, target.endpoint, values.profile), copied, identities));
  }
  console.table(rows);
  const best = rows.reduce((a, b) => (b.identitiesPerCpuSecond > a.identitiesPerCpuSecond ? b : a));
  if (values.json) console.log(JSON.stringify(best));
}

function measure(verified: Run, copied: Run, identities: number): Row {
  if (verified.equal !== identities) throw new Error(`${verified.equal} of ${identities} identities were found equal`);
  if (verified.coreChecksum !== verified.edgeChecksum) throw new Error('The checksums of both sides differ');
  return {
    identities,
    identitiesPerCpuSecond: Math.round(identities / verified.workerCpuSeconds),
    cpuShareOfCopy: Math.round((100 * verified.workerCpuSeconds) / copied.workerCpuSeconds) / 100,
    writeUnits: verified.writeUnits,
    rssMb: verified.rssMb,
  };
}

await main();
