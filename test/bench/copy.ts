/**
 * How much CPU the copy costs: seeds a project, runs the copy's own process against a DynamoDB that takes everything,
 * and prints what that process says of itself.
 *
 *   npm run bench:copy -- [--identities 200000] [--runs 1] [--json]
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
    identities: { type: 'string', default: '200000' },
    runs: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
    /** Folder for a V8 CPU profile of the worker. */
    profile: { type: 'string' },
  },
});

/** What `npm run copy -- --json` prints, as far as it is used here. */
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
  console.error(`Seeding ${identities.toLocaleString('en-GB')} identities`);
  const url = await seed(postgres, identities);
  await using target = await startTarget();
  const results: Row[] = [];
  for (let run = 0; run < Number(values.runs); run++) results.push(measure(await copy(url, target.url), identities));
  console.table(results);
  const best = results.reduce((a, b) => (b.identitiesPerCpuSecond > a.identitiesPerCpuSecond ? b : a));
  if (values.json) console.log(JSON.stringify(best));
}

async function seed(postgres: Postgres, identities: number): Promise<{ database: string; projectId: number }> {
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

/** The null target, in a process of its own. */
async function startTarget(): Promise<AsyncDisposable & { url: string }> {
  const target = spawn(process.execPath, [path('./null-dynamodb.ts')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [url] = await Array.fromAsync(firstLine(target.stdout));
  const ended = new Promise((resolve) => target.once('exit', resolve));
  return {
    url: url ?? '',
    async [Symbol.asyncDispose]() {
      target.kill();
      await ended;
    },
  };
}

async function* firstLine(stream: NodeJS.ReadableStream): AsyncGenerator<string> {
  for await (const line of createInterface({ input: stream })) {
    yield line;
    return;
  }
}

/** Runs the copy as a user would. */
async function copy({ database, projectId }: { database: string; projectId: number }, endpoint: string): Promise<Run> {
  const profile = values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values.profile}`];
  const { scripts } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
  // The flags that it gives to `node`.
  const flags = scripts.copy.match(/--\S+/g) ?? [];
  const args = ['--project', String(projectId), '--rate', '1000000', '--json'];
  const worker = spawn(process.execPath, [...flags, ...profile, path('../../operator/copy/main.ts'), ...args], {
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
  if (code !== 0) throw new Error(`The copy ended with ${code}`);
  return JSON.parse(lines.at(-1) ?? '');
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
