import { execFile } from 'node:child_process';
import { globSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, expect, test, vi } from 'vitest';
import { logsOf } from './test-logs.ts';

// Vitest in Vitest.
vi.setConfig({ testTimeout: 600_000 });

const folder = join(import.meta.dirname, 'fixtures/end-of-run');
const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');

function removeLogs(): void {
  for (const variant of ['', 'other']) rmSync(logsOf(folder, variant), { recursive: true, force: true });
}
beforeEach(removeLogs);
afterAll(removeLogs);

/** Runs a fixture with Vitest; returns its output. */
function run(fixture: string, environment: Readonly<Record<string, string>>): Promise<string> {
  return new Promise((resolve) => {
    const env = { PATH: process.env['PATH'], NO_COLOR: '1', ...environment };
    const options = { cwd: folder, env };
    execFile(process.execPath, [vitest, 'run', fixture], options, (_, stdout, stderr) => resolve(stdout + stderr));
  });
}

const findLogs = (fixture: string, variant?: string) =>
  globSync('**/*.log', { cwd: logsOf(join(folder, fixture), variant) });

test('a failing file keeps the logs of its services in a folder of its own, and the run prints the path', async () => {
  const output = await run('failing', {});
  expect(output).toContain('Logs: .cache/test-logs/test/setup/fixtures/end-of-run/failing.fixture.ts');
  const [log = ''] = findLogs('failing.fixture.ts');
  expect(readFileSync(join(logsOf(join(folder, 'failing.fixture.ts')), log), 'utf8')).toBe('what the server said');
});

test('a passing file leaves no logs', async () => {
  expect(await run('passing', {})).not.toContain('Logs:');
  expect(findLogs('passing.fixture.ts')).toEqual([]);
});

test('a file that fails in one of two projects keeps the logs of that one', async () => {
  const output = await run('twice', {});
  expect(output).toMatch(/\nLogs: .cache\/test-logs\/other\/\S*twice\.fixture\.ts\n(?!Logs)/);
  expect(findLogs('twice.fixture.ts', 'other')).toHaveLength(1);
  expect(findLogs('twice.fixture.ts')).toEqual([]);
});

test('a failing property prints its seed and counterexample, and SEED reproduces them', async () => {
  const found = /seed: (-?\d+), path: "[\d:]+".*\nCounterexample: \[(\d+)\]/;
  const first = await run('failing', { SEED: '20261129' });
  const again = await run('failing', { SEED: '20261129' });
  const other = await run('failing', { SEED: '7' });
  expect(found.exec(first)?.[1]).toBe('20261129');
  expect(first).toContain('SEED=20261129 npx vitest run');
  expect(found.exec(again)?.[0]).toBe(found.exec(first)?.[0]);
  expect(found.exec(other)?.[0]).not.toBe(found.exec(first)?.[0]);
});

test('on CI a run ends with its slowest tests', async () => {
  const output = await run('passing', { CI: 'true' });
  expect(output).toMatch(
    /The slowest 1 of 1 tests:\n +\d+\.\d s {2}test\/setup\/.*passing\.fixture\.ts > writes a log/,
  );
});
