/**
 * `npm run test:loaded`: all tests three times, while four processes beside them compute endlessly: nothing may fail
 * because the machine is busy. `-- --runs 1` runs them once; file names, and options after another `--`, go to Vitest.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from './import-graph.ts';

const HOGS = 4;
/** It exits by itself within a second when its parent is killed. */
const HOG = `const parent = process.ppid;
while (process.ppid === parent) for (const end = Date.now() + 1000; Date.now() < end; );`;

const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');

/** Runs the tests until a run fails; returns whether all have passed. */
async function runTests(runs: number, args: readonly string[], signal: AbortSignal): Promise<boolean> {
  for (let run = 1; run <= runs; run++) {
    const tests = spawn(process.execPath, [vitest, 'run', ...args], { cwd: ROOT, stdio: 'inherit' });
    const stop = () => tests.kill('SIGTERM');
    signal.addEventListener('abort', stop);
    const [code] = await once(tests, 'exit');
    signal.removeEventListener('abort', stop);
    const hasPassed = code === 0 && !signal.aborted;
    console.log(`Run ${run} of ${runs} beside ${HOGS} busy processes has ${hasPassed ? 'passed' : 'failed'}`);
    if (!hasPassed) return false;
  }
  return true;
}

const { values, positionals } = parseArgs({
  options: { runs: { type: 'string', default: '3' } },
  allowPositionals: true,
});
const stopping = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => stopping.abort());

const hogs: ChildProcess[] = Array.from({ length: HOGS }, () => spawn(process.execPath, ['-e', HOG]));
try {
  if (!(await runTests(Number(values.runs), positionals, stopping.signal))) process.exitCode = 1;
} finally {
  for (const hog of hogs) hog.kill('SIGKILL');
}
