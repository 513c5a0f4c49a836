/** Runs the copy and the comparison as a user would, without Kubernetes, on their own project. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Postgres } from '../cluster/postgres.ts';
import { createEmptyCore } from '../core/database.ts';
import { seedProject } from '../core/seed.ts';

export interface Seeded {
  readonly database: string;
  readonly projectId: number;
}

export async function seed({ urlOf }: Postgres, identities: number): Promise<Seeded> {
  console.error(`Seeding ${identities.toLocaleString('en-GB')} identities`);
  const database = await createEmptyCore(urlOf, 'core');
  const { projectId } = await seedProject(database, { identities });
  return { database, projectId };
}

/**
 * Runs `npm run copy` or `npm run verify` with the flags that it passes to `node`.
 *
 * @param profile folder for a V8 CPU profile
 * @returns its output with `--json`
 * @throws Error when it fails
 */
export async function runWorker<Summary>(
  script: 'copy' | 'verify',
  { database, projectId }: Seeded,
  endpoint: string,
  profile?: string,
): Promise<Summary> {
  const { scripts } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
  const flags: string[] = scripts[script].match(/--\S+/g) ?? [];
  if (profile !== undefined) flags.push('--cpu-prof', `--cpu-prof-dir=${profile}`);
  const entry = fileURLToPath(new URL(`../../bin/${script}.ts`, import.meta.url));
  const args = ['--project', String(projectId), '--rate', '1000000', '--json'];
  const worker = spawn(process.execPath, [...flags, entry, ...args], {
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
