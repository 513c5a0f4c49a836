/**
 * How much CPU a comparison costs: seeds a project, copies it by the copy's own process into a DynamoDB that only keeps
 * and returns documents, compares the two by the comparison's own process, and prints what that process says of itself.
 *
 *   npm run bench:verify -- [--identities 50000] [--runs 1] [--json]
 */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { type Postgres, startPostgres } from '../cluster/postgres.ts';
import { seedProject } from '../core/seed.ts';

const { values } = parseArgs({
  options: {
    identities: { type: 'string', default: '50000' },
    runs: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
    /** Folder for a V8 CPU profile of the comparison. */
    profile: { type: 'string' },
  },
});

/** What `npm run copy -- --json` and `npm run verify -- --json` print, as far as it is used here. */
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
  console.error(`Seeding ${identities.toLocaleString('en-GB')} identities`);
  const core = await seed(postgres, identities);
  await using target = await startTarget();
  console.error('Copying');
  const copied = await run('copy', core, target.url, []);
  const profile = values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values.profile}`];
  const rows: Row[] = [];
  for (let each = 0; each < Number(values.runs); each++) {
    console.error('Comparing');
    rows.push(measure(await run('verify', core, target.url, profile), copied, identities));
  }
  console.table(rows);
  const best = rows.reduce((a, b) => (b.identitiesPerCpuSecond > a.identitiesPerCpuSecond ? b : a));
  if (values.json) console.log(JSON.stringify(best));
}

interface Seeded {
  readonly database: string;
  readonly projectId: number;
}

async function seed(postgres: Postgres, identities: number): Promise<Seeded> {
  const admin = new pg.Client({ connectionString: postgres.url });
  await admin.connect();
  await admin.query('CREATE DATABASE core');
  await admin.end();
  const database = postgres.urlOf('core');
  const client = new pg.Client({ connectionString: database });
  await client.connect();
  await client.query(await readFile(new URL('../core/schema.sql', import.meta.url), 'utf8'));
  await client.end();
  const { projectId } = await seedProject(database, { identities });
  return { database, projectId };
}

const path = (file: string) => fileURLToPath(new URL(file, import.meta.url));

/** In a process of its own, so that its CPU is not counted. */
async function startTarget(): Promise<AsyncDisposable & { url: string }> {
  const target = spawn(process.execPath, [path('./memory-dynamodb.ts')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => target.once('exit', resolve));
  const lines = createInterface({ input: target.stdout });
  const url = await new Promise<string>((resolve) => lines.once('line', resolve));
  return {
    url,
    async [Symbol.asyncDispose]() {
      target.kill();
      await ended;
    },
  };
}

/** Runs the copy or the comparison as a user would. */
async function run(
  script: 'copy' | 'verify',
  { database, projectId }: Seeded,
  endpoint: string,
  flags: string[],
): Promise<Run> {
  const { scripts } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
  // The flags that it gives to `node`.
  const own = scripts[script].match(/--\S+/g) ?? [];
  const args = ['--project', String(projectId), '--rate', '1000000', '--json'];
  const worker = spawn(process.execPath, [...own, ...flags, path(`../../operator/${script}/main.ts`), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      EDGE_MIGRATION_DATABASE_URL: database,
      EDGE_MIGRATION_DYNAMODB_ENDPOINT: endpoint,
      EDGE_MIGRATION_LOG_LEVEL: 'error',
      AWS_ACCESS_KEY_ID: 'local',
      AWS_SECRET_ACCESS_KEY: 'local',
    },
  });
  const ended = new Promise<number | null>((resolve) => worker.once('exit', resolve));
  const lines = await Array.fromAsync(createInterface({ input: worker.stdout }));
  const code = await ended;
  if (code !== 0) throw new Error(`npm run ${script} ended with ${code}`);
  return JSON.parse(lines.at(-1) ?? '');
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
