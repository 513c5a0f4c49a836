import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { createClient } from '@edge-migration/kubernetes/client.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { KubeConfig } from '@kubernetes/client-node';
import { binary } from '../cluster/binaries.ts';
import { DYNAMODB_CLIENT } from '../cluster/dynamodb.ts';
import { probeHttp } from '../cluster/probe.ts';
import { waitFor } from '../cluster/wait.ts';
import { readTestConfiguration } from '../configuration.ts';
import { createCore, describeReader } from '../e2e/installation.ts';
import { CORE_API } from '../e2e/replay-parts.ts';
import type { DynamodbFaults, StoreSettings, Target, TargetOptions } from '../e2e/target.ts';
import { createVerbs, NAMESPACE } from '../e2e/verbs.ts';
import { createTables, type TestTables } from '../edge/tables.ts';
import { describeValues, NATS_URL, NATS_USERS, type ValuesOptions } from './chart.ts';
import { run } from './commands.ts';
import { describeCoreApi } from './core-api.ts';
import { killContainer } from './node.ts';
import { startPortForward } from './port-forward.ts';
import { DYNAMODB_PROXY, describeNamespace, describeStores, STORE_NAMES, STORES } from './services.ts';
import { provideStorage } from './storage.ts';

/** Names of the images in the cluster. */
export interface RealImages {
  readonly product: string;
  readonly fixture: string;
  readonly postgres: string;
  readonly nats: string;
  readonly dynamodb: string;
}

/** Options of this kind of installation only. */
export interface RealOptions extends TargetOptions {
  readonly handover?: ValuesOptions['handover'];
}

const CHART = fileURLToPath(new URL('../../charts/edge-migration', import.meta.url));
const RELEASE = 'edge-migration';
const TIMEOUT = '300s';
const MINUTES = 60_000;

/** Shared options of commands on the cluster. */
interface Access {
  readonly kubeconfig: string;
  readonly kubectlPath: string;
  kubectl: Target['kubectl'];
  helm(args: readonly string[], input?: string): Promise<string>;
  forward(namespace: string, target: string, port: number): Promise<number>;
}

/**
 * Installs chart, stores and Core API into a cluster that is reserved for the tests, or changes an earlier test
 * file's installation to match these options, with an empty database and empty tables.
 */
export async function install(kubeconfig: string, options: RealOptions): Promise<Target> {
  await using started = new AsyncDisposableStack();
  const images = readImages();
  // A separate stack: they are open for as long as the installation is used, and closed last.
  const forwards = started.use(new AsyncDisposableStack());
  const access = await openAccess(kubeconfig, forwards);
  const { kubectl } = access;
  await clear(access);
  await applyObjects(access, [NAMESPACE, CORE_API.namespace].map(describeNamespace));
  await applyObjects(access, describeStores(images));
  for (const name of STORE_NAMES) await rollOut(access, STORES, `deployment/${name}`);
  const stores = await openWorkerStores(access, started);
  const revision = randomBytes(4).toString('hex');
  const installed = { access, images, stores, options, revision };
  if (options.replay) await applyCoreApi(installed);
  const configure = await deployChart(installed);
  if (options.replay) await rollOut(access, CORE_API.namespace, 'deployment/flagsmith-api');

  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromFile(kubeconfig);
  const client = createClient({ kubeConfig, clock: systemClock, userAgent: 'edge-migration-test' });
  started.defer(() => client.close());
  const { readyApiPods, restartOperator: _, ...verbs } = createVerbs(kubectl, client);
  const dynamodb = options.dynamodbFaults ? await openFaults(access) : undefined;
  const stack = started.move();
  const stop = () => stack.disposeAsync();
  return {
    ...verbs,
    client,
    kubectl,
    tables: stores.tables,
    databaseUrl: stores.databaseUrl,
    readerUrl: stores.readerUrl,
    namespace: NAMESPACE,
    ...(dynamodb === undefined ? {} : { dynamodb }),
    async coreApis() {
      const pods = await readyApiPods();
      const ports = pods.map(({ name }) => access.forward(CORE_API.namespace, `pod/${name}`, 8000));
      return (await Promise.all(ports)).map((port) => `http://127.0.0.1:${port}`);
    },
    reconfigure: configure,
    kill: (namespace, pod, container) => killContainer(kubectl, namespace, pod, container),
    async crashApiServer() {
      const selector = ['-l', 'component=kube-apiserver', '-o', 'jsonpath={.items[0].metadata.name}'];
      const name = await kubectl(['get', 'pods', '-n', 'kube-system', ...selector]);
      await killContainer(kubectl, 'kube-system', name, 'kube-apiserver');
      const isBack = async () => (await kubectl(['get', '--raw', '/readyz'])) === 'ok';
      await waitFor(isBack, { for: 'the API server to be back', timeoutMs: 3 * MINUTES, intervalMs: 500 });
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function readImages(): RealImages {
  const configuration = readTestConfiguration();
  const need = (name: 'PRODUCT_IMAGE' | 'FIXTURE_IMAGE' | 'POSTGRES_IMAGE' | 'NATS_IMAGE' | 'DYNAMODB_IMAGE') => {
    const image = configuration[name];
    if (image === undefined) throw new Error(`${name} is not set: run these tests by npm run test:kind`);
    return image;
  };
  return {
    product: need('PRODUCT_IMAGE'),
    fixture: need('FIXTURE_IMAGE'),
    postgres: need('POSTGRES_IMAGE'),
    nats: need('NATS_IMAGE'),
    dynamodb: need('DYNAMODB_IMAGE'),
  };
}

async function openAccess(kubeconfig: string, opened: AsyncDisposableStack): Promise<Access> {
  const [kubectlPath, helm] = [await binary('kubectl'), await binary('helm')];
  const ports = new Map<string, Promise<number>>();
  return {
    kubeconfig,
    kubectlPath,
    kubectl: (args, { input } = {}) => run(kubectlPath, ['--kubeconfig', kubeconfig, ...args], { input }),
    helm: (args, input) => run(helm, ['--kubeconfig', kubeconfig, ...args], { input }),
    forward(namespace, target, port) {
      const key = `${namespace}/${target}:${port}`;
      const known = ports.get(key);
      if (known !== undefined) return known;
      const starting = startPortForward({ kubectl: kubectlPath, kubeconfig, namespace, target, port }).then(
        (forward) => opened.use(forward).port,
      );
      ports.set(key, starting);
      return starting;
    },
  };
}

/** Removes the previous test file's remains: its EdgeMigrations, its Core API, its namespaces. */
async function clear({ kubectl, helm }: Access): Promise<void> {
  // A run interrupted in the middle of an upgrade would block every later one.
  const pending = await helm(['list', '-n', NAMESPACE, '--pending', '--short']);
  if (pending.trim() !== '') await helm(['uninstall', RELEASE, '-n', NAMESPACE, '--wait']);
  const definition = await kubectl(['get', 'crd', 'edgemigrations.edge.flagsmith.com', '--ignore-not-found']);
  if (definition !== '') await kubectl(['delete', 'edgemigrations', '-A', '--all', `--timeout=${TIMEOUT}`]);
  await kubectl(['delete', 'namespace', 'customers', '--ignore-not-found']);
  await kubectl(['delete', 'deployment,job,pod', '--all', '-n', CORE_API.namespace, '--ignore-not-found']);
}

async function applyObjects({ kubectl }: Access, items: readonly object[]): Promise<void> {
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  await kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], { input });
}

async function rollOut({ kubectl }: Access, namespace: string, workload: string): Promise<void> {
  await kubectl(['rollout', 'status', workload, '-n', namespace, `--timeout=${TIMEOUT}`]);
}

interface Stores {
  readonly tables: TestTables;
  /** For the tests. */
  readonly databaseUrl: string;
  /** For pods, as its owner. */
  readonly ownerUrl: string;
  readonly readerUrl: string;
}

async function openWorkerStores(access: Access, started: AsyncDisposableStack): Promise<Stores> {
  const [postgres, dynamodb] = [
    await access.forward(STORES, 'service/postgres', 5432),
    await access.forward(STORES, 'service/dynamodb', 8000),
  ];
  const name = `flagsmith_${randomBytes(4).toString('hex')}`;
  const urlOf = (database: string) => `postgres://postgres:postgres@127.0.0.1:${postgres}/${database}`;
  const databaseUrl = await createCore({ urlOf }, name);
  const inside = new URL(databaseUrl);
  inside.host = `postgres.${STORES}.svc:5432`;
  const tables = await createTables({ endpoint: `http://127.0.0.1:${dynamodb}`, ...DYNAMODB_CLIENT });
  started.use(tables);
  return { tables, databaseUrl, ownerUrl: inside.href, readerUrl: describeReader(inside.href) };
}

interface Installed {
  readonly access: Access;
  readonly images: RealImages;
  readonly stores: Stores;
  readonly options: RealOptions;
  readonly revision: string;
}

async function applyCoreApi({ access, images, stores, revision }: Installed): Promise<void> {
  const options = { images, databaseUrl: stores.ownerUrl, natsUrl: NATS_URL, revision };
  const { sidecar } = NATS_USERS.passwords;
  await applyObjects(access, [
    describeSecret('edge-migration-nats', { sidecar }, CORE_API.namespace),
    ...(await describeCoreApi(options)),
  ]);
}

/** Installs the chart or upgrades it; returns a function that changes its settings. */
async function deployChart(installed: Installed): Promise<(settings: StoreSettings) => Promise<void>> {
  const { access, images, stores, options, revision } = installed;
  let { identitiesTable } = stores.tables.settings;
  let { readerUrl: databaseUrl } = stores;
  let change = 0;
  const storageClass = options.replay ? await provideStorage(access.kubectl) : '';

  async function deploy(): Promise<void> {
    change += 1;
    await applyObjects(access, [
      describeSecret('edge-migration-database', { url: databaseUrl }),
      describeSecret(NATS_USERS.secret, NATS_USERS.passwords),
      describeSecret('edge-migration-aws', { AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local' }),
    ]);
    const host = options.dynamodbFaults ? 'dynamodb-proxy' : 'dynamodb';
    const values = describeValues({
      product: images.product,
      nats: images.nats,
      storageClass,
      endpoint: `http://${host}.${STORES}.svc:8000`,
      tables: { ...stores.tables.settings, identitiesTable },
      revision: `${revision}-${change}`,
      options,
      ...(options.handover === undefined ? {} : { handover: options.handover }),
    });
    const args = ['upgrade', '--install', RELEASE, CHART, '-n', NAMESPACE, '-f', '-', '--wait', '--timeout', TIMEOUT];
    await access.helm(args, JSON.stringify(values));
  }

  await deploy();
  return async (settings) => {
    identitiesTable = settings.identitiesTable ?? identitiesTable;
    databaseUrl = settings.databaseUrl ?? databaseUrl;
    await deploy();
  };
}

const describeSecret = (name: string, stringData: Readonly<Record<string, string>>, namespace = NAMESPACE) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace },
  stringData,
});

async function openFaults(access: Access): Promise<DynamodbFaults> {
  const port = await access.forward(STORES, 'service/dynamodb-proxy', DYNAMODB_PROXY.control);
  const url = `http://127.0.0.1:${port}`;
  const faults: DynamodbFaults = {
    async writes() {
      const { body } = await probeHttp(`${url}/writes`);
      return JSON.parse(body).writes;
    },
    async disturb(disturbances) {
      const { status, body } = await probeHttp(`${url}/disturbances`, {
        method: 'PUT',
        body: JSON.stringify(disturbances),
      });
      if (status !== 200) throw new Error(`The DynamoDB proxy refuses the disturbances: ${body}`);
    },
  };
  await faults.disturb([]);
  return faults;
}
