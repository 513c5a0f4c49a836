import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ContainerRuntimeClient } from 'testcontainers';

/** A Docker engine as testcontainers finds it: DOCKER_HOST, its settings file, the usual sockets. */
export type Engine = ContainerRuntimeClient;

/** Loading testcontainers takes a second, which is saved on a machine without any trace of an engine. */
function mayAnswer(): boolean {
  const { DOCKER_HOST, XDG_RUNTIME_DIR = '/run/user/none' } = process.env;
  const home = homedir();
  const traces = [
    '/var/run/docker.sock',
    join(XDG_RUNTIME_DIR, 'docker.sock'),
    ...['.docker/run/docker.sock', '.docker/desktop/docker.sock', '.testcontainers.properties'].map((path) =>
      join(home, path),
    ),
  ];
  return process.platform === 'win32' || (DOCKER_HOST ?? '') !== '' || traces.some(existsSync);
}

/** The first engine that answers, if any. */
export async function findEngine(): Promise<Engine | undefined> {
  if (!mayAnswer()) return undefined;
  const { getContainerRuntimeClient } = await import('testcontainers');
  return getContainerRuntimeClient().catch(() => undefined);
}

/** @throws Error when no engine answers */
export async function requireEngine(): Promise<Engine> {
  const engine = await findEngine();
  if (engine === undefined) throw new Error('No Docker engine answers: set DOCKER_HOST, or TEST_SERVICES=processes');
  return engine;
}
