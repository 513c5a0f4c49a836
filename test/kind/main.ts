/**
 * `npm run test:kind [file…]`: the end-to-end tests on a real cluster with real containers. Makes a kind cluster, or takes
 * the one of KUBECONFIG; builds and loads the images; installs stores and chart; runs Vitest. Ends with 3 where no
 * Docker engine answers. Variables: test/configuration.ts.
 */
import { fileURLToPath } from 'node:url';
import { findEngine } from '../cluster/engine.ts';
import { readTestConfiguration } from '../configuration.ts';
import { openCluster } from './cluster.ts';
import { CommandError, run } from './commands.ts';
import { buildImages } from './images.ts';

const NO_ENGINE = 3;
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

process.exitCode = await main().catch((error: unknown) => {
  if (!(error instanceof CommandError)) throw error;
  console.error(error.message);
  return 1;
});

async function main(): Promise<number> {
  const configuration = readTestConfiguration();
  const engine = await findEngine();
  if (engine === undefined) {
    console.error('test:kind needs a Docker engine, and none answers: start one, or set DOCKER_HOST to where it is.');
    return NO_ENGINE;
  }
  await using cluster = await openCluster(configuration);
  const images = await buildImages(engine, configuration);
  await cluster.load(Object.values(images));
  const env = {
    E2E_KUBECONFIG: cluster.kubeconfig,
    PRODUCT_IMAGE: images.product,
    FIXTURE_IMAGE: images.fixture,
    POSTGRES_IMAGE: images.postgres,
    NATS_IMAGE: images.nats,
    DYNAMODB_IMAGE: images.dynamodb,
    STAND_IN_IMAGE: images.standIn,
  };
  const args = ['run', '--root', ROOT, '--config', 'test/kind/vitest.config.ts', ...process.argv.slice(2)];
  try {
    // npm puts node_modules/.bin on the PATH.
    await run('vitest', args, { env, show: true });
    return 0;
  } catch {
    return 1;
  }
}
