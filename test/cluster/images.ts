import { createHash } from 'node:crypto';
import { copyFileSync, cpSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readTestConfiguration } from '../configuration.ts';
import { binary } from './binaries.ts';
import { provide } from './cache.ts';
import { dynamodbArtifact } from './dynamodb-local.ts';
import type { Engine } from './engine.ts';
import { createFolder, removeFolder } from './reaper.ts';

interface ServiceImage {
  /** The variable that names an image of this machine. */
  readonly variable: 'POSTGRES_IMAGE' | 'NATS_IMAGE' | 'DYNAMODB_IMAGE';
  /** Pulled if no other image is named. */
  readonly published: string;
  /** Tag of an image built on DEBIAN_IMAGE. */
  readonly built: string;
  /** Puts the files that the Dockerfile copies into the folder. */
  stage(folder: string): Promise<void>;
}

const SOURCE = fileURLToPath(new URL('./images/', import.meta.url));

/** Images of the services. For the tests those built here behave like the published ones. */
export const IMAGES = {
  postgres: {
    variable: 'POSTGRES_IMAGE',
    published: 'postgres:17-bookworm',
    built: 'edge-migration-test/postgres',
    async stage(folder) {
      copyFileSync(join(SOURCE, 'entrypoint.sh'), join(folder, 'entrypoint.sh'));
    },
  },
  nats: {
    variable: 'NATS_IMAGE',
    published: 'nats:2.12-alpine',
    built: 'edge-migration-test/nats',
    async stage(folder) {
      copyFileSync(await binary('nats-server'), join(folder, 'nats-server'));
    },
  },
  dynamodb: {
    variable: 'DYNAMODB_IMAGE',
    published: 'amazon/dynamodb-local:3.1.0',
    built: 'edge-migration-test/dynamodb',
    async stage(folder) {
      await provide([dynamodbArtifact]);
      cpSync(dynamodbArtifact.path, join(folder, 'lib'), { recursive: true });
    },
  },
} as const satisfies Readonly<Record<string, ServiceImage>>;

export type ServiceName = keyof typeof IMAGES;

/** The image of a service's containers: named by its variable, else built on DEBIAN_IMAGE, else published. */
export function imageOf(service: ServiceName): string {
  const configuration = readTestConfiguration();
  const { variable, published, built } = IMAGES[service];
  const named = configuration[variable];
  if (named !== undefined) return named;
  return configuration.DEBIAN_IMAGE === undefined ? published : `${built}:${recipeHash(service)}`;
}

/**
 * Makes sure that the engine has the service's image, by building or pulling it if necessary.
 *
 * @returns its name
 * @throws Error when it can be neither found nor built nor pulled
 */
export async function obtainImage(engine: Engine, service: ServiceName): Promise<string> {
  const { ImageName } = await import('testcontainers');
  const image = imageOf(service);
  const name = ImageName.fromString(image);
  if (await engine.image.exists(name)) return image;
  const { DEBIAN_IMAGE: base } = readTestConfiguration();
  if (base !== undefined && image.startsWith(`${IMAGES[service].built}:`)) await build(engine, service, image, base);
  else await engine.image.pull(name);
  return image;
}

async function build(engine: Engine, service: ServiceName, image: string, base: string): Promise<void> {
  const folder = createFolder('image');
  process.stderr.write(`Building ${image} on ${base}, once\n`);
  try {
    copyFileSync(dockerfile(service), join(folder, 'Dockerfile'));
    await IMAGES[service].stage(folder);
    await buildImage(engine, folder, { t: image, buildargs: { DEBIAN_IMAGE: base } });
  } finally {
    await removeFolder(folder);
  }
}

/**
 * Builds a folder's Dockerfile with the engine's classic builder.
 *
 * @throws Error with the end of the build's log
 */
async function buildImage(
  { container: { dockerode } }: Engine,
  context: string,
  options: { t: string; buildargs?: Record<string, string>; dockerfile?: string },
): Promise<void> {
  const stream = await dockerode.buildImage(
    { context, src: readdirSync(context) },
    { rm: true, forcerm: true, ...options },
  );
  const log: string[] = [];
  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error) =>
      reject(new Error(`Building ${options.t}: ${error.message}\n${log.slice(-20).join('')}`));
    const onProgress = ({ stream: line }: { stream?: string }) => line !== undefined && log.push(line);
    dockerode.modem.followProgress(stream, (error) => (error ? fail(error) : resolve()), onProgress);
  });
}

const dockerfile = (service: ServiceName) => join(SOURCE, `${service}.Dockerfile`);

/** A change of the Dockerfile, the base or our version gives another image. */
function recipeHash(service: ServiceName): string {
  const hash = createHash('sha256');
  for (const file of [dockerfile(service), join(SOURCE, 'entrypoint.sh')]) hash.update(readFileSync(file));
  hash.update(readTestConfiguration().DEBIAN_IMAGE ?? '').update(basename(dynamodbArtifact.path));
  hash.update(readFileSync(new URL('./tools/nats-server/go.mod', import.meta.url)));
  return hash.digest('hex').slice(0, 12);
}
