/**
 * The project's files that a file depends on: its imports, and, for `npm run test:changed`, the files that it names, as
 * tests name the programs that they start and the manifests that they read.
 */
import { globSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** The project's root folder. */
export const ROOT = resolve(import.meta.dirname, '../..');

const WORKSPACE = '@edge-migration/';
/** `import type` is erased before anything runs. */
const IMPORT =
  /^(?:import|export)\s(?!type\b)[^'";]*?from\s*'([^']+)'|^import\s*'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm;
const COMMENT_LINE = /^\s*(?:\/\/|\/?\*).*$/gm;
/** In a module: a string, or one up to its first placeholder. */
const QUOTED = /(['"`])([\w@.][\w@./-]*)(?:\1|\$\{)/g;
/** In a manifest: a program. */
const PROGRAM = /[\w@.-]+(?:\/[\w@.-]+)+\.ts\b/g;

export interface ImportGraph {
  /** The test files, as paths from the root, sorted. */
  readonly tests: readonly string[];
  /** Everything that runs when the file is loaded, the file included: paths from the root, and Node's `node:…`. */
  imports(file: string): ReadonlySet<string>;
  /** Everything that the file imports or names, files and folders, transitively. */
  mentions(file: string): ReadonlySet<string>;
}

/** Reads the project's current files once. */
export function readImportGraph(root: string = ROOT): ImportGraph {
  const folders = '{bin,console,contract,identity,kubernetes,operator,replay-sidecar,runtime,cli,charts,test}';
  const isOurs = (path: string) => !path.includes('node_modules/') && !path.startsWith('test/kind/');
  const importsOf = memo((file: string) => readImports(root, file));
  const mentionsOf = memo((file: string) => [...importsOf(file), ...readMentions(root, file)]);
  return {
    tests: globSync(`${folders}/**/*.test.ts`, { cwd: root }).filter(isOurs).sort(),
    imports: (file) => closure(file, importsOf),
    mentions: (file) => closure(file, mentionsOf),
  };
}

function closure(start: string, next: (file: string) => readonly string[]): ReadonlySet<string> {
  const reached = new Set([start]);
  for (const file of reached) for (const each of next(file)) reached.add(each);
  return reached;
}

function readImports(root: string, file: string): string[] {
  if (!file.endsWith('.ts')) return [];
  const names = [...read(root, file).matchAll(IMPORT)].map(([, ...groups]) => groups.find(Boolean) ?? '');
  return names
    .flatMap((name) => resolveModule(file, name) ?? [])
    .filter((path) => path.startsWith('node:') || kindOf(root, path) === 'file');
}

/** The path of a module of this project, or the name of one of Node's; undefined for a package's. */
function resolveModule(file: string, name: string): string | undefined {
  if (name.startsWith('.')) return join(dirname(file), name);
  if (name.startsWith(WORKSPACE)) return name.slice(WORKSPACE.length);
  return name.startsWith('node:') ? name : undefined;
}

function readMentions(root: string, file: string): string[] {
  if (/\.(ya?ml|tpl)$/.test(file)) return (read(root, file).match(PROGRAM) ?? []).filter((path) => kindOf(root, path));
  if (kindOf(root, file) === 'folder') return globSync(`${file}/**/*.{yaml,yml,tpl}`, { cwd: root });
  if (!file.endsWith('.ts')) return [];
  const strings = read(root, file).replace(COMMENT_LINE, '').matchAll(QUOTED);
  const names = new Set([...strings].map(([, , name = '']) => name).filter((name) => /[./]/.test(name)));
  const paths = [...names].flatMap((name) => [join(dirname(file), name), join(name)]);
  return paths.map((path) => path.replace(/\/$/, '')).filter((path) => isTelling(root, file, path));
}

/** A file, or a folder other than those that contain everything. */
function isTelling(root: string, file: string, path: string): boolean {
  const kind = path.startsWith('.') ? undefined : kindOf(root, path);
  return kind === 'file' || (kind === 'folder' && !`${dirname(file)}/`.startsWith(`${path}/`) && path.includes('/'));
}

function read(root: string, file: string): string {
  return kindOf(root, file) === 'file' ? readFileSync(join(root, file), 'utf8') : '';
}

function kindOf(root: string, path: string): 'file' | 'folder' | undefined {
  const found = statSync(join(root, path), { throwIfNoEntry: false });
  if (found?.isFile()) return 'file';
  return found?.isDirectory() ? 'folder' : undefined;
}

function memo<T>(make: (file: string) => T): (file: string) => T {
  const made = new Map<string, T>();
  return (file) => {
    const value = made.get(file) ?? make(file);
    made.set(file, value);
    return value;
  };
}
