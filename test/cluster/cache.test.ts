import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { binary } from './binaries.ts';
import { MissingToolError, provide, requireTool } from './cache.ts';
import { createFolder, removeFolder } from './reaper.ts';

let folder: string;
beforeEach(() => {
  folder = createFolder('cache');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await removeFolder(folder);
});

/**
 * A process that provides `<folder>/thing`, noting each build in `<folder>/builds`. No build ends before two processes
 * have found that there is no such thing, each of which notes it in `<folder>/missed`.
 */
function startProvider(): Promise<string> {
  const script = `
    import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
    import { provide } from './cache.ts';
    import { waitFor } from './wait.ts';
    const folder = process.argv[1];
    const providing = provide([{
      title: 'thing',
      path: folder + '/thing',
      async build(to) {
        appendFileSync(folder + '/builds', process.pid + '\\n');
        const isMissedByBoth = () => readFileSync(folder + '/missed', 'utf8').length === 2;
        await waitFor(isMissedByBoth, { for: 'the other process', timeoutMs: 30_000, intervalMs: 10 });
        writeFileSync(to, 'made');
      },
    }]);
    appendFileSync(folder + '/missed', '.');
    await providing;`;
  const args = ['--input-type=module', '-e', script, folder];
  const child = spawn(process.execPath, args, { cwd: import.meta.dirname, stdio: ['ignore', 'ignore', 'pipe'] });
  return Promise.all([text(child.stderr), once(child, 'exit')]).then(([output]) => output);
}

test('of two processes that need the same thing one builds it and the other waits', async () => {
  const [one, other] = await Promise.all([startProvider(), startProvider()]);
  expect(readFileSync(join(folder, 'thing'), 'utf8')).toBe('made');
  expect(readFileSync(join(folder, 'builds'), 'utf8').trim().split('\n')).toHaveLength(1);
  expect(one + other).toMatch(/^\[1\/1\] thing: fetching or building, once \(\d+ s\)\n\[1\/1\] thing: done/);
});

test('a builder that died is replaced, and a failed build leaves nothing half done', async () => {
  const path = join(folder, 'thing');
  // No process can have this number.
  writeFileSync(`${path}.lock`, '4194305');
  const failing = {
    title: 'thing',
    path,
    async build(to: string) {
      mkdirSync(to);
      throw new Error('no space left');
    },
  };
  await expect(provide([failing])).rejects.toThrow('no space left');
  expect([path, `${path}.lock`].filter(existsSync)).toEqual([]);
});

test('a missing tool is an error that says which one and what for', () => {
  vi.stubEnv('PATH', folder);
  const need = () => requireTool('go', 'build etcd');
  expect(need).toThrow(MissingToolError);
  expect(need).toThrow('"go" was not found on the PATH: it is needed to build etcd');
});

test('binaries in KUBEBUILDER_ASSETS are used as they are', async () => {
  vi.stubEnv('KUBEBUILDER_ASSETS', folder);
  writeFileSync(join(folder, 'etcd'), '');
  expect(await binary('etcd')).toBe(join(folder, 'etcd'));
});
