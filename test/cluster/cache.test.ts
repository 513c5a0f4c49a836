import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { binary } from './binaries.ts';
import { MissingToolError, type Progress, provide, requireTool } from './cache.ts';
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
 * have found the thing missing, which each of them notes in `<folder>/missed`.
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
        await waitFor(isMissedByBoth, { for: 'the other process', timeoutMs: 120_000, intervalMs: 10 });
        writeFileSync(to, 'made');
      },
    }]);
    appendFileSync(folder + '/missed', '.');
    await providing;`;
  const args = ['--input-type=module', '-e', script, folder];
  const child = spawn(process.execPath, args, { cwd: import.meta.dirname, stdio: ['ignore', 'ignore', 'pipe'] });
  return Promise.all([text(child.stderr), once(child, 'exit')]).then(([output]) => output);
}

test('when two processes need the same item, one builds it and the other waits', async () => {
  const [one, other] = await Promise.all([startProvider(), startProvider()]);
  expect(readFileSync(join(folder, 'thing'), 'utf8')).toBe('made');
  expect(readFileSync(join(folder, 'builds'), 'utf8').trim().split('\n')).toHaveLength(1);
  for (const output of [one, other]) {
    expect(output).toMatch(/^about \d+ s left, 0 of 1 built or fetched; now thing\n/);
    expect(output).toMatch(/\n1 of 1 built or fetched\n$/);
  }
});

test('a builder that died is replaced, and a failed build leaves no partial result', async () => {
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

test('an item requested twice in one process is built once and reported once', async () => {
  const made: string[] = [];
  const artifacts = ['one', 'other'].map((title) => ({
    title,
    path: join(folder, title),
    lane: 'lane',
    async build(to: string) {
      made.push(title);
      writeFileSync(to, title);
    },
  }));
  const reports: Progress[] = [];
  const first = provide(artifacts, { report: (progress) => reports.push(progress) });
  await provide(artifacts.slice(1));
  await first;
  expect(made).toEqual(['one', 'other']);
  expect(reports.at(0)).toMatchObject({ done: [], running: ['one'], left: ['other'] });
  expect(reports.at(-1)).toMatchObject({ done: ['one', 'other'], running: [], left: [], secondsLeft: 0 });
});

test('lanes are built in parallel, and a failure in one stops the others', async () => {
  const forever = {
    title: 'forever',
    path: join(folder, 'forever'),
    lane: 'slow',
    build: (_: string, signal?: AbortSignal) =>
      new Promise<void>((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
  };
  const failing = {
    title: 'failing',
    path: join(folder, 'failing'),
    lane: 'fast',
    build: () => Promise.reject(new Error('no space left')),
  };
  await expect(provide([forever, failing])).rejects.toThrow('no space left');
});

test('a missing tool is an error that names it and what needs it', () => {
  vi.stubEnv('PATH', folder);
  const need = () => requireTool('go', 'build etcd');
  expect(need).toThrow(MissingToolError);
  expect(need).toThrow('"go" was not found on the PATH: it is needed to build etcd');
});

test('binaries in KUBEBUILDER_ASSETS are used unchanged', async () => {
  vi.stubEnv('KUBEBUILDER_ASSETS', folder);
  writeFileSync(join(folder, 'etcd'), '');
  expect(await binary('etcd')).toBe(join(folder, 'etcd'));
});
