import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createDatabase, type TestDatabase } from '@edge-migration/test/cluster/shared.ts';
import { waitFor } from '@edge-migration/test/cluster/wait.ts';
import { seedProject } from '@edge-migration/test/core/seed.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));

describe('The Core API as a process', () => {
  let database: TestDatabase;
  let key: string;
  let parent: ChildProcess;
  let url: string;
  const logged: { msg: string; signal?: string }[] = [];

  beforeAll(async () => {
    database = await createDatabase();
    key = (await seedProject(database.url, { identities: 20 })).environments[0]!.apiKey;
    const env = {
      EDGE_MIGRATION_DATABASE_URL: database.url,
      EDGE_MIGRATION_PORT: '0',
      EDGE_MIGRATION_WORKERS: '2',
      EDGE_MIGRATION_ACCEPT_FAULTS: 'true',
    };
    parent = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    createInterface(parent.stdout!).on('line', (line) => logged.push(JSON.parse(line)));
    const port = await waitFor(
      () => (logged.find(({ msg }) => msg === 'listening') as { port?: number } | undefined)?.port,
      { for: 'the port' },
    );
    url = `http://127.0.0.1:${port}`;
  });
  afterAll(async () => {
    parent.kill('SIGTERM');
    if (parent.exitCode === null) await once(parent, 'exit');
    await database.drop();
  });

  const get = (identifier: string, fault = '') =>
    fetch(`${url}/api/v1/identities/?identifier=${identifier}`, {
      headers: { 'X-Environment-Key': key, 'X-Fixture-Fault': fault },
    });

  it('answers requests', async () => {
    const response = await get('ann');
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ identifier: 'ann', traits: [], flags: [] });
  });

  it('replaces a worker that dies after its commit, and keeps answering', async () => {
    await expect(get('bob', 'crash-after')).rejects.toThrow();
    await waitFor(() => logged.some(({ msg, signal }) => msg === 'worker died' && signal === 'SIGKILL'), {
      for: 'the end of the worker',
    });
    await waitFor(async () => (await get('bob')).ok, { for: 'another worker' });
  });

  it('stops on SIGTERM', async () => {
    parent.kill('SIGTERM');
    const [code] = await once(parent, 'exit');
    expect(code).toBe(0);
  });
});
