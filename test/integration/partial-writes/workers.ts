import { COMPILED_CODE } from '../../cluster/cache.ts';
import { freePort } from '../../cluster/ports.ts';
import { probeTcp } from '../../cluster/probe.ts';
import { createFolder, removeFolder } from '../../cluster/reaper.ts';
import { startService } from '../../cluster/service.ts';

const MAIN = new URL('../../core/api/main.ts', import.meta.url).pathname;

/** The Core API as processes: a parent that accepts, and workers that a fault kills and the parent replaces. */
export interface Workers extends AsyncDisposable {
  readonly port: number;
  /** Whether any of them accepts connections. */
  ready(): Promise<boolean>;
}

export async function startWorkers(databaseUrl: string): Promise<Workers> {
  const folder = createFolder('core-workers');
  const port = await freePort();
  const ready = () => probeTcp('127.0.0.1', port);
  const service = await startService({
    name: 'core-api',
    command: process.execPath,
    args: [MAIN],
    folder,
    env: {
      ...COMPILED_CODE,
      EDGE_MIGRATION_DATABASE_URL: databaseUrl,
      EDGE_MIGRATION_HOST: '127.0.0.1',
      EDGE_MIGRATION_PORT: String(port),
      EDGE_MIGRATION_WORKERS: '2',
      EDGE_MIGRATION_ENVIRONMENT_CACHE_SECONDS: '0',
      EDGE_MIGRATION_ACCEPT_FAULTS: 'true',
    },
    ready,
    cleanUp: () => removeFolder(folder),
  });
  return { port, ready, [Symbol.asyncDispose]: () => service.stop() };
}
