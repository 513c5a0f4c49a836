import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test, vi } from 'vitest';
import { createFolder, removeFolder } from './reaper.ts';

vi.setConfig({ testTimeout: 600_000 });

const SCRIPT = "import { chooseProvider } from './provider.ts'; console.log(await chooseProvider());";

/** Chooses a provider in a process that sees a Docker engine which has no image and can pull none. */
async function chooseBesidePoorEngine(wanted: string): Promise<{ stdout: string; stderr: string }> {
  const folder = createFolder('engine');
  const socket = join(folder, 'docker.sock');
  const engine = createServer(({ url }, response) => {
    const answers = /\/(info|networks\/bridge)$/.test(url ?? '');
    response.writeHead(answers ? 200 : 404, { 'content-type': 'application/json' });
    const facts = { IndexServerAddress: 'registry', IPAM: { Config: [] } };
    response.end(JSON.stringify(answers ? facts : { message: 'no such image' }));
  });
  engine.listen(socket);
  await once(engine, 'listening');
  try {
    const env = { PATH: process.env['PATH'], HOME: folder, DOCKER_HOST: `unix://${socket}`, TEST_SERVICES: wanted };
    const options = { cwd: import.meta.dirname, env };
    return await promisify(execFile)(process.execPath, ['--input-type=module', '-e', SCRIPT], options);
  } finally {
    engine.closeAllConnections();
    await new Promise((resolve) => engine.close(resolve));
    await removeFolder(folder);
  }
}

test('a container engine without images is skipped in favour of local processes, with a message', async () => {
  const { stdout, stderr } = await chooseBesidePoorEngine('auto');
  expect(stdout.trim()).toBe('processes');
  expect(stderr).toContain('run as processes (a Docker engine answers, but the image of postgres cannot be had');
});

test('requesting containers that are unavailable is an error', async () => {
  await expect(chooseBesidePoorEngine('containers')).rejects.toThrow(/TEST_SERVICES=containers, but a Docker engine/);
});

test('requesting processes skips the check for a container engine', async () => {
  const { stdout, stderr } = await chooseBesidePoorEngine('processes');
  expect(stdout.trim()).toBe('processes');
  expect(stderr).toContain('(TEST_SERVICES=processes;');
});
