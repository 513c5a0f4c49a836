import { cpSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Engine } from '../cluster/engine.ts';
import { obtainImage } from '../cluster/images.ts';
import { createFolder, removeFolder } from '../cluster/reaper.ts';
import type { TestConfiguration } from '../configuration.ts';
import { CommandError, run } from './commands.ts';

/** The images that run on the cluster. */
export interface Images {
  readonly product: string;
  /** The product's image, with the fixture Core API, the load and the DynamoDB proxy. */
  readonly fixture: string;
  readonly postgres: string;
  readonly nats: string;
  readonly dynamodb: string;
  /** Stand-in for Flagsmith's own image. */
  readonly standIn: string;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';

/** Builds the product's image from the Dockerfile, and obtains those of the stores. */
export async function buildImages(engine: Engine, configuration: TestConfiguration): Promise<Images> {
  const product = configuration.PRODUCT_IMAGE ?? (await buildProduct(configuration));
  const folder = createFolder('fixture-image');
  try {
    const lines = [`FROM ${product}`, 'COPY test /app/test'];
    writeFileSync(join(folder, 'Dockerfile'), lines.join('\n'));
    for (const part of ['core', 'faults', 'kind/pods']) {
      cpSync(join(ROOT, 'test', part), join(folder, 'test', part), { recursive: true });
    }
    cpSync(join(ROOT, 'test/package.json'), join(folder, 'test/package.json'));
    const fixture = await build('edge-migration-fixture', folder);
    const [postgres, nats, dynamodb] = [
      await obtainImage(engine, 'postgres'),
      await obtainImage(engine, 'nats'),
      await obtainImage(engine, 'dynamodb'),
    ];
    const standIn = await buildStandIn(configuration);
    return { product, fixture, postgres, nats, dynamodb, standIn };
  } finally {
    await removeFolder(folder);
  }
}

async function buildProduct({ NODE_IMAGE: base, BUILD_IMAGE: given }: TestConfiguration): Promise<string> {
  const builder = given ?? (base === undefined ? undefined : await provideBuilder(base));
  return build('edge-migration', ROOT, {
    ...(base === undefined ? {} : { NODE_IMAGE: base }),
    ...(builder === undefined ? {} : { BUILD_IMAGE: builder }),
  });
}

function buildStandIn({ PYTHON_IMAGE: python, DEBIAN_IMAGE: debian }: TestConfiguration): Promise<string> {
  const base = python ?? debian;
  return build(
    'edge-migration-stand-in',
    join(ROOT, 'test/handover'),
    base === undefined ? {} : { PYTHON_IMAGE: base },
  );
}

/** Tagged by its content, so that nodes never confuse it with an older one. */
async function build(name: string, context: string, args: Readonly<Record<string, string>> = {}): Promise<string> {
  const draft = `${name}:e2e`;
  const values = Object.entries(args).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]);
  await run('docker', ['build', '-t', draft, ...values, context], { show: true });
  const id = (await run('docker', ['image', 'inspect', '--format', '{{.Id}}', draft])).trim();
  const tagged = `${draft}-${id.replace('sha256:', '').slice(0, 12)}`;
  await run('docker', ['tag', draft, tagged]);
  return tagged;
}

/** An image in which `npm ci` works: the base if it has npm, else with this machine's npm and authorities added. */
async function provideBuilder(base: string): Promise<string> {
  const hasNpm = await run('docker', ['run', '--rm', '--entrypoint', 'npm', base, '--version']).then(
    () => true,
    () => false,
  );
  if (hasNpm) return base;
  const npm = process.env['npm_execpath'];
  if (npm === undefined) throw new CommandError(`${base} has no npm, and there is none to copy: use npm run test:kind`);
  const folder = createFolder('builder-image');
  try {
    cpSync(dirname(dirname(npm)), join(folder, 'npm'), { recursive: true, dereference: true });
    cpSync(process.env['NODE_EXTRA_CA_CERTS'] ?? CERTIFICATES, join(folder, 'ca.crt'));
    const lines = [
      `FROM ${base}`,
      'COPY npm /usr/local/lib/node_modules/npm',
      `COPY ca.crt ${CERTIFICATES}`,
      `ENV NODE_EXTRA_CA_CERTS=${CERTIFICATES}`,
      'RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm',
    ];
    writeFileSync(join(folder, 'Dockerfile'), lines.join('\n'));
    return await build('edge-migration-builder', folder);
  } finally {
    await removeFolder(folder);
  }
}
