import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { expect, test, vi } from 'vitest';

// Vitest in Vitest.
vi.setConfig({ testTimeout: 600_000 });

const folder = join(import.meta.dirname, 'fixtures/leaks');
const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');

/** Runs one fixture with Vitest; returns its exit code and output. */
function run(fixture: string): Promise<{ code: number | undefined; output: string }> {
  return new Promise((resolve) => {
    const env = { PATH: process.env['PATH'], NO_COLOR: '1' };
    const child = execFile(process.execPath, [vitest, 'run', fixture], { cwd: folder, env }, (_, stdout, stderr) =>
      resolve({ code: child.exitCode ?? undefined, output: stdout + stderr }),
    );
  });
}

test('a file that leaves a server, a timer, a process and a rejection behind fails with a list of them', async () => {
  const { code, output } = await run('leaky');
  expect(code).toBe(1);
  for (const leak of ['listening TCP server', 'pending timer', 'running child process', 'nobody handles this']) {
    expect(output).toContain(leak);
  }
});

test('a file that closes what it opens passes', async () => {
  expect(await run('tidy')).toMatchObject({ code: 0 });
});
