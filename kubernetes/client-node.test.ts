import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

/** Loads a module in a process of its own and prints how many files of client-node's generated code came with it. */
const COUNT = `
  const { registerHooks } = await import('node:module');
  let count = 0;
  registerHooks({ load: (url, context, next) => (url.includes('/client-node/dist/gen/') && count++, next(url, context)) });
  const { KubeConfig } = await import(process.argv[1]);
  new KubeConfig().loadFromClusterAndUser({ name: 'c', server: 'https://127.0.0.1:1' }, { name: 'u' });
  console.log(count);
`;

async function countGenerated(module: string): Promise<number> {
  const args = ['--no-warnings', '--input-type=module', '--eval', COUNT, module];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: import.meta.dirname });
  return Number(stdout);
}

test('the classes of all of the API stay on the disk', async () => {
  const ours = await countGenerated(new URL('./client-node.ts', import.meta.url).href);
  expect(ours).toBeGreaterThan(0);
  expect(ours).toBeLessThan(20);
  expect(await countGenerated('@kubernetes/client-node')).toBeGreaterThan(500);
}, 60_000);
