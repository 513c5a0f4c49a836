/** Requirements on the sources for the image to build and work; the build itself needs a Docker engine. */
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
/** The modules of the image. It has the console's page as the bundle built from it. */
const modules = globSync(`{bin,${WORKSPACES.join()}}/**/*.ts`, { cwd: ROOT }).filter(
  (path) => !isIgnored(path) && !path.startsWith('console/page/'),
);

/** The packages that npm installs for production. */
const dependencies = new Set(
  WORKSPACES.flatMap((name) => {
    const manifest = JSON.parse(read(`${name}/package.json`)) as { dependencies: Record<string, string> };
    return Object.keys(manifest.dependencies);
  }),
);

/** Files and packages that a module loads at run time, hence without types. */
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

it('the image has modules for each process', () => {
  expect(modules).toEqual(
    expect.arrayContaining(
      ['operator', 'copy', 'verify', 'check', 'trigger', 'applier', 'sidecar', 'console'].map(
        (name) => `bin/${name}.ts`,
      ),
    ),
  );
  expect(modules.filter((path) => /test|fixture/.test(path))).toEqual([]);
});

it('the image has every module that is loaded, and only production packages', () => {
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

it('the image installs from the manifests of all workspaces, because npm rejects a lock file that lists others', () => {
  const { workspaces } = JSON.parse(read('package.json')) as { workspaces: string[] };
  const manifests = workspaces.map((name) => `COPY ${name}/package.json ${name}/`);
  const stages = read('Dockerfile')
    .split(/^FROM /m)
    .filter((stage) => /^RUN npm ci/m.test(stage));
  expect(stages).toHaveLength(2);
  for (const stage of stages) expect(stage.split('\n')).toEqual(expect.arrayContaining(manifests));
});

it('the image builds without BuildKit-only features', () => {
  expect(read('Dockerfile')).not.toMatch(/^# *syntax=|<<|--mount|--link|--chmod|--parents/m);
});

it('the image runs as a non-root user', () => {
  expect(read('Dockerfile')).toMatch(/^USER 65532:65532$/m);
});

it("the base image and the chart's NATS image are pinned by digest", () => {
  expect(read('Dockerfile')).toMatch(/^ARG NODE_IMAGE=node:24\.\S+-slim@sha256:[0-9a-f]{64}$/m);
  const { nats } = parse(read('charts/edge-migration/values.yaml'));
  expect(nats.bundled.image.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
});
