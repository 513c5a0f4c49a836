import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { COMPILED_CODE } from '../cluster/cache.ts';
import { readWorkerRuntime } from '../deployed.ts';

/** A worker's Edge tables and Core database. */
export interface WorkerStores {
  readonly databaseUrl: string;
  readonly dynamodbEndpoint: string;
  readonly identitiesTable: string;
  readonly environmentsV2Table?: string;
}

/** A worker's last output. */
export interface Summary {
  /** Peak memory in MiB. */
  readonly rssMb: number;
  readonly [count: string]: unknown;
}

export interface Run {
  /** The exit code, or the signal that killed it. */
  readonly exit: number | NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a worker without Kubernetes to its end, in a separate process as a user does. */
export async function startWorker(
  worker: 'copy' | 'verify',
  projectId: number,
  stores: WorkerStores,
  args: readonly string[] = [],
): Promise<Run> {
  const main = fileURLToPath(new URL(`../../bin/${worker}.ts`, import.meta.url));
  const { flags, env } = await readWorkerRuntime();
  const child = spawn(
    process.execPath,
    [...flags, main, '--project', String(projectId), '--rate', '400000', '--json', ...args],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...env,
        PATH: process.env['PATH'],
        ...COMPILED_CODE,
        AWS_ACCESS_KEY_ID: 'local',
        AWS_SECRET_ACCESS_KEY: 'local',
        EDGE_MIGRATION_DATABASE_URL: stores.databaseUrl,
        EDGE_MIGRATION_DYNAMODB_ENDPOINT: stores.dynamodbEndpoint,
        EDGE_MIGRATION_IDENTITIES_TABLE: stores.identitiesTable,
        EDGE_MIGRATION_ENVIRONMENTS_V2_TABLE: stores.environmentsV2Table,
        ...(worker === 'verify' && { EDGE_MIGRATION_SETTLE_SECONDS: '1' }),
      },
    },
  );
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  const exit = await new Promise<Run['exit']>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal));
  });
  return { exit, stdout, stderr };
}

/**
 * The same for a worker that must succeed.
 *
 * @throws Error with the end of its output
 */
export async function runWorker(...run: Parameters<typeof startWorker>): Promise<Summary> {
  const { exit, stdout, stderr } = await startWorker(...run);
  if (exit !== 0) throw new Error(`${run[0]} of project ${run[1]} ended with ${exit}\n${stderr.slice(-2000)}`);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
}
