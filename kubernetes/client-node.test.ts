import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
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

const CHANGED =
  '@kubernetes/client-node changed what its configuration loads: read kubernetes/client-node.ts before you pin another version';

test('@kubernetes/client-node uses only those parts of its generated code that our replacement has', async () => {
  const text = readFileSync(new URL(import.meta.resolve('@kubernetes/client-node/dist/config.js')), 'utf8');
  const [, names = ''] = /^import \{([^}]*)\} from '\.\/gen\/index\.js';$/m.exec(text) ?? [];
  const wanted = names.split(',').map((name) => name.trim());
  expect(wanted.filter(Boolean).sort(), CHANGED).toEqual(Object.keys(await import('./client-node-part.ts')).sort());
});

test('the classes of the whole API are not loaded', async () => {
  const ours = await countGenerated(new URL('./client-node.ts', import.meta.url).href);
  expect(ours).toBeGreaterThan(0);
  expect(ours, CHANGED).toBeLessThan(20);
  expect(await countGenerated('@kubernetes/client-node')).toBeGreaterThan(500);
});
