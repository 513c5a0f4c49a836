/**
 * Bundles the program into one file that needs only Node, and a package around it for `npm install --global`:
 * `node cli/build.ts [folder]`.
 */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Plugin, rolldown } from 'rolldown';

const ROOT = resolve(import.meta.dirname, '..');
/** kubectl finds `kubectl edge-migration` by this name, in which an underscore stands for the hyphen. */
const FILE = 'kubectl-edge_migration';

/** kubectl runs a program of this name for completions, and interprets `:4` as: only these, no file names. */
const COMPLETER = 'kubectl_complete-edge_migration';
const COMPLETER_TEXT = `#!/bin/sh\n${FILE} __complete "$@" && echo :4\n`;

/** client-node's classes of all API types are excluded, as kubernetes/client-node.ts excludes them at run time. */
const withoutApiTypes: Plugin = {
  name: 'without-api-types',
  resolveId(source, importer) {
    const isWhole = source === './gen/index.js' && importer?.endsWith('/client-node/dist/config.js');
    return isWhole ? join(ROOT, 'kubernetes/client-node-part.ts') : null;
  },
  load(id) {
    const isSwitch = id === join(ROOT, 'kubernetes/client-node.ts');
    return isSwitch ? "export { KubeConfig } from '@kubernetes/client-node/dist/config.js';" : null;
  },
};

const folder = resolve(process.argv[2] ?? join(import.meta.dirname, 'dist'));
await mkdir(folder, { recursive: true });
const bundle = await rolldown({
  input: join(import.meta.dirname, 'main.ts'),
  platform: 'node',
  plugins: [withoutApiTypes],
});
const file = join(folder, `${FILE}.mjs`);
await bundle.write({ file, format: 'esm', minify: true, codeSplitting: false });
await bundle.close();
await writeFile(join(folder, COMPLETER), COMPLETER_TEXT);
for (const name of [`${FILE}.mjs`, COMPLETER]) await chmod(join(folder, name), 0o755);

const { version, license, engines } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
const bin = { [FILE]: `${FILE}.mjs`, 'edge-migration': `${FILE}.mjs`, [COMPLETER]: COMPLETER };
const manifest = {
  name: '@edge-migration/kubectl',
  version,
  license,
  type: 'module',
  engines,
  bin,
  files: [`${FILE}.mjs`, COMPLETER],
};
await writeFile(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
