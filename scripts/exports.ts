/**
 * Keeps each workspace's `exports` at the modules that other workspaces import, so that all others can change freely.
 * The product's imports come first, then those of tests only. `node scripts/exports.ts` fails and lists what to add or
 * to remove; `--write` does it.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const SCOPE = '@edge-migration/';
/** The product may not import it (.dependency-cruiser.mjs), so it hides nothing. */
const OPEN = 'test';
/** As in .dependency-cruiser.mjs, and the folders that are not part of the product at all. */
const OF_TESTS = /\.test\.ts$|\/(testing|fixtures)\/|\/testing\.ts$|^(test|scripts)\//;
/** Includes types and dynamic imports. */
const IMPORT = /(?:\bfrom\s*|\bimport\s*\(?\s*)'@edge-migration\/([^/']+)\/([^']+)'/g;

interface Manifest {
  readonly name: string;
  readonly workspaces?: readonly string[];
  readonly exports?: Readonly<Record<string, string>>;
}

/** One workspace, whose manifest is named relative to the root. */
export interface Exports {
  readonly manifest: string;
  /** The required `exports`, in this order. */
  readonly wanted: Readonly<Record<string, string>>;
  readonly missing: readonly string[];
  readonly needless: readonly string[];
  readonly isSorted: boolean;
}

/** Compares the manifests of all workspaces with the imports of the modules below `root`. */
export function compareExports(root: string): Exports[] {
  const { workspaces = [] } = readManifest(join(root, 'package.json'));
  const imported = readImports(root);
  return workspaces
    .filter((workspace) => workspace !== OPEN)
    .map((workspace) => {
      const manifest = join(workspace, 'package.json');
      // Without `exports` everything can be imported.
      const { name, exports = { './*': './*' } } = readManifest(join(root, manifest));
      const modules = imported.get(name.slice(SCOPE.length)) ?? new Map<string, boolean>();
      const isOfTests = ([, ofTests]: [string, boolean]) => Number(ofTests);
      const sorted = [...modules].sort((a, b) => isOfTests(a) - isOfTests(b) || (a[0] < b[0] ? -1 : 1));
      const wanted = Object.fromEntries(sorted.map(([path]) => [`./${path}`, `./${path}`]));
      const [has, needs] = [Object.keys(exports), Object.keys(wanted)];
      const missing = needs.filter((path) => exports[path] !== wanted[path]);
      const needless = has.filter((path) => !(path in wanted));
      return { manifest, wanted, missing, needless, isSorted: has.join() === needs.join() };
    });
}

/** By workspace, the modules that others import, and whether only tests do. */
function readImports(root: string): Map<string, Map<string, boolean>> {
  const imported = new Map<string, Map<string, boolean>>();
  const files = globSync('**/*.{ts,tsx,mjs}', { cwd: root, exclude: ['**/node_modules', '.*'] });
  for (const file of files) {
    const ofTests = OF_TESTS.test(file);
    for (const [, name = '', path = ''] of readFileSync(join(root, file), 'utf8').matchAll(IMPORT)) {
      const modules = imported.get(name) ?? new Map<string, boolean>();
      imported.set(name, modules.set(path, ofTests && (modules.get(path) ?? true)));
    }
  }
  return imported;
}

const readManifest = (path: string): Manifest => JSON.parse(readFileSync(path, 'utf8'));

/** Puts `exports` in its place, after `type`. */
function write(root: string, { manifest, wanted }: Exports): void {
  const { exports: _, ...others } = readManifest(join(root, manifest));
  const entries = Object.entries(others).flatMap((entry) =>
    entry[0] === 'type' ? [entry, ['exports', wanted]] : [entry],
  );
  writeFileSync(join(root, manifest), `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`);
}

function main(root: string): void {
  const wrong = compareExports(root).filter(
    ({ missing, needless, isSorted }) => missing.length + needless.length > 0 || !isSorted,
  );
  if (process.argv.includes('--write')) {
    for (const each of wrong) write(root, each);
    return;
  }
  for (const { manifest, missing, needless, isSorted } of wrong) {
    for (const path of missing) console.error(`${manifest}: exports lacks ${path}`);
    for (const path of needless) console.error(`${manifest}: exports has ${path}, which no other package imports`);
    if (missing.length + needless.length === 0 && !isSorted) console.error(`${manifest}: exports is not in order`);
  }
  if (wrong.length > 0) {
    console.error('`node scripts/exports.ts --write` puts it right');
    process.exitCode = 1;
  }
}

if (import.meta.main) main(resolve(import.meta.dirname, '..'));
