/**
 * Builds the page into one folder of static files: `node console/page/build.ts [folder]`. File names under `assets/`
 * contain a hash of the content, so that browsers may cache them indefinitely.
 */
import { createHash } from 'node:crypto';
import { globSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { rolldown } from 'rolldown';

const PAGE = import.meta.dirname;
const require = createRequire(import.meta.url);
const FONT = require.resolve('@fontsource-variable/inter/files/inter-latin-wght-normal.woff2');
/** Packages in the bundle, whose licences must be included. */
const BUNDLED = ['preact', 'eventsource-parser', '@fontsource-variable/inter'];

const folder = resolve(process.argv[2] ?? join(PAGE, '../dist'));
await rm(folder, { recursive: true, force: true });
await mkdir(join(folder, 'assets'), { recursive: true });

/** @returns the file's address, from the page */
async function addAsset(name: string, extension: string, content: string | Buffer): Promise<string> {
  const hash = createHash('sha256').update(content).digest('hex').slice(0, 10);
  const file = `assets/${name}-${hash}.${extension}`;
  await writeFile(join(folder, file), content);
  return file;
}

async function bundleScript(): Promise<string> {
  const bundle = await rolldown({
    input: join(PAGE, 'main.tsx'),
    platform: 'browser',
    // The image has no tsconfig.json.
    tsconfig: false,
    transform: { jsx: { runtime: 'automatic', importSource: 'preact' }, target: 'es2024' },
  });
  const { output } = await bundle.generate({ format: 'esm', minify: true, codeSplitting: false });
  await bundle.close();
  return addAsset('page', 'js', output[0].code);
}

async function bundleStyle(): Promise<string> {
  const font = await addAsset('inter', 'woff2', await readFile(FONT));
  const files = globSync('style/*.css', { cwd: PAGE }).sort();
  const texts = await Promise.all(files.map((file) => readFile(join(PAGE, file), 'utf8')));
  const text = texts.join('\n').replaceAll('inter.woff2', font.slice('assets/'.length));
  return addAsset('page', 'css', text);
}

async function readLicences(): Promise<string> {
  const texts = BUNDLED.map(async (name) => {
    const root = packageRoot(name);
    const [licence] = globSync('LICEN[CS]E*', { cwd: root });
    if (licence === undefined) throw new Error(`${name} has no licence file`);
    return `${name}\n\n${await readFile(join(root, licence), 'utf8')}`;
  });
  return (await Promise.all(texts)).join(`\n${'-'.repeat(80)}\n`);
}

const packageRoot = (name: string) => dirname(require.resolve(`${name}/package.json`));

const [script, style] = await Promise.all([bundleScript(), bundleStyle()]);
const html = await readFile(join(PAGE, 'index.html'), 'utf8');
await writeFile(join(folder, 'index.html'), html.replace('SCRIPT', script).replace('STYLE', style));
await writeFile(join(folder, 'icon.svg'), await readFile(join(PAGE, 'icon.svg')));
await writeFile(join(folder, 'licences.txt'), await readLicences());
