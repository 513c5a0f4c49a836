/**
 * `npm run test:changed`: runs the tests that depend on changes since this branch left `main`, committed or not.
 * Files that a test starts as a process or reads count as much as its imports. Other arguments go to Vitest.
 */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { prepare } from '../cluster/prepare.ts';
import { ROOT, readImportGraph } from './import-graph.ts';
import { readTestKinds } from './test-kinds.ts';

/** They affect every test. */
const EVERYTHING = /^(package(-lock)?\.json|vitest\.config\.ts|test\/setup\/[^/]+\.ts|tsconfig\.json)$/;

/** Test files that import or name one of the changed files, or a folder that contains one; paths from the root. */
export function selectTests(changed: readonly string[], graph = readImportGraph()): string[] {
  if (changed.some((file) => EVERYTHING.test(file) && !file.endsWith('.test.ts'))) return [...graph.tests];
  const isIn = (mentioned: ReadonlySet<string>) => (file: string) =>
    withFolders(file).some((each) => mentioned.has(each));
  return graph.tests.filter((test) => changed.some(isIn(graph.mentions(test))));
}

/** `a/b/c.ts`, `a/b`, `a`. */
function withFolders(file: string): string[] {
  const parts = file.split('/');
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'));
}

/** @throws Error with git's output when it fails */
function git(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) throw new Error(`git ${args.join(' ')}: ${stderr.trim()}`);
  return stdout.trim();
}

function listChanged(): string[] {
  const base = ['origin/main', 'main'].find((name) => git('branch', '--all', '--list', name, `remotes/${name}`) !== '');
  const from = base === undefined ? 'HEAD' : git('merge-base', 'HEAD', base);
  const untracked = git('ls-files', '--others', '--exclude-standard');
  return `${git('diff', '--name-only', from)}\n${untracked}`.split('\n').filter((file) => file !== '');
}

if (import.meta.main) {
  const changed = listChanged();
  const tests = selectTests(changed);
  console.log(`${changed.length} files changed: ${tests.length} test files stand on them`);
  const { withServices } = readTestKinds();
  if (tests.some((test) => withServices.includes(test))) await prepare();
  if (tests.length > 0) {
    const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');
    const args = [vitest, 'run', ...tests, ...process.argv.slice(2)];
    process.exitCode = spawnSync(process.execPath, args, { cwd: ROOT, stdio: 'inherit' }).status ?? 1;
  }
}
