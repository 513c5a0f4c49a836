/** What must hold of the sources for the image to be built and to work; the build itself needs a Docker engine. */
import { globSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, matchesGlob, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { parse } from 'yaml';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const WORKSPACES = ['console', 'contract', 'identity', 'kubernetes', 'operator', 'replay-sidecar', 'runtime'];
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

const ignored = read('.dockerignore')
  .split('\n')
  .filter((line) => line.startsWith('**/'));
const isIgnored = (path: string) => ignored.some((glob) => matchesGlob(path, glob) || matchesGlob(path, `${glob}/**`));
/** The modules of the image. The console's page is in it as the bundle that is built of it. */
const modules = globSync(`{bin,${WORKSPACES.join()}}/**/*.ts`, { cwd: ROOT }).filter(
  (path) => !isIgnored(path) && !path.startsWith('console/page/'),
);

/** What npm installs for production. */
const dependencies = new Set(
  WORKSPACES.flatMap((name) => {
    const manifest = JSON.parse(read(`${name}/package.json`)) as { dependencies: Record<string, string> };
    return Object.keys(manifest.dependencies);
  }),
);

/** Files and packages that a module loads; types are gone when it runs. */
function importsOf(path: string): string[] {
  const statements = read(path).matchAll(
    /^(?:import|export)\s(?!type\b)[^;]*?from '([^']+)'|^import '([^']+)'|import\('([^']+)'\)/gm,
  );
  return [...statements].map(([, from, bare, dynamic]) => from ?? bare ?? dynamic ?? '');
}

const packageOf = (specifier: string) =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

it('has modules for each process', () => {
  expect(modules).toEqual(
    expect.arrayContaining(
      ['operator', 'copy', 'verify', 'check', 'trigger', 'applier', 'sidecar', 'console'].map(
        (name) => `bin/${name}.ts`,
      ),
    ),
  );
  expect(modules.filter((path) => /test|fixture/.test(path))).toEqual([]);
});

it('has all that its modules load, and no package but those for production', () => {
  const isThere = new Set(modules);
  const missing = modules.flatMap((path) =>
    importsOf(path)
      .filter((specifier) => {
        if (specifier.startsWith('node:')) return !builtinModules.includes(specifier.slice('node:'.length));
        const [, workspace] = /^@edge-migration\/(.+)$/.exec(specifier) ?? [];
        const file =
          workspace ?? (specifier.startsWith('.') ? relative('', join(dirname(path), specifier)) : undefined);
        if (file === undefined) return !dependencies.has(packageOf(specifier));
        return file.endsWith('.ts') && !isThere.has(file);
      })
      .map((specifier) => `${path}: ${specifier}`),
  );
  expect(missing).toEqual([]);
});

it('installs from the manifests of all workspaces: npm refuses a lock file that knows of more than it finds', () => {
  const { workspaces } = JSON.parse(read('package.json')) as { workspaces: string[] };
  const manifests = workspaces.map((name) => `COPY ${name}/package.json ${name}/`);
  const stages = read('Dockerfile')
    .split(/^FROM /m)
    .filter((stage) => /^RUN npm ci/m.test(stage));
  expect(stages).toHaveLength(2);
  for (const stage of stages) expect(stage.split('\n')).toEqual(expect.arrayContaining(manifests));
});

it('is built without what only BuildKit knows', () => {
  expect(read('Dockerfile')).not.toMatch(/^# *syntax=|<<|--mount|--link|--chmod|--parents/m);
});

it('runs as a user who is not root', () => {
  expect(read('Dockerfile')).toMatch(/^USER 65532:65532$/m);
});

it('is built on a base image that is named by its digest, and so is the NATS that comes with the chart', () => {
  expect(read('Dockerfile')).toMatch(/^ARG NODE_IMAGE=node:24\.\S+-slim@sha256:[0-9a-f]{64}$/m);
  const { nats } = parse(read('charts/edge-migration/values.yaml'));
  expect(nats.bundled.image.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
});
