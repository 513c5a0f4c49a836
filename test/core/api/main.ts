/**
 * The Core API fixture as a process: `node test/core/api/main.ts`, configured by environment variables
 * (configuration.ts). A parent that accepts, and workers that answer and are replaced when they die, as with gunicorn.
 */
import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { parseEnvironment } from '@edge-migration/runtime/configuration.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import { configuration } from './configuration.ts';
import { startApi } from './server.ts';

const options = parseEnvironment(configuration, process.env);
const logger = createLogger('core-api', options.logLevel);
await (cluster.isPrimary ? supervise() : work());

async function supervise(): Promise<void> {
  let stopping = false;
  cluster.on('exit', (_worker: Worker, code: number, signal: string) => {
    if (stopping) return;
    logger.warn({ code, signal }, 'worker died');
    cluster.fork();
  });
  let listening = 0;
  cluster.on('listening', (_worker: Worker, { port }: { port: number }) => {
    listening += 1;
    // Not before: if the only one that listens dies, the others get another port where any is wanted.
    if (listening === options.workers) logger.info({ port }, 'listening');
  });
  for (let index = 0; index < options.workers; index++) cluster.fork();
  await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
  stopping = true;
  for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGTERM');
}

async function work(): Promise<void> {
  const { adminToken, viewerToken, ...rest } = options;
  const api = await startApi({
    ...rest,
    ...(adminToken !== undefined && { adminToken }),
    ...(viewerToken !== undefined && { viewerToken }),
    logger,
    crash: () => process.kill(process.pid, 'SIGKILL'),
  });
  // A signal may reach the whole process group; the parent decides when to stop, and a second one changes nothing.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
  await once(process, 'SIGTERM');
  await api.drain();
  process.disconnect?.();
}
