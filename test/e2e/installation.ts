import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { READ_TABLES } from '@edge-migration/identity/core/release.ts';
import { execute } from '@edge-migration/identity/fixtures/core-rows.ts';
import { createClient, type KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import { CONFIG_MAPS } from '@edge-migration/kubernetes/resources.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { KubeConfig } from '@kubernetes/client-node';
import { parseAllDocuments } from 'yaml';
import { COMPILED_CODE } from '../cluster/cache.ts';
import { type Cluster, startCluster } from '../cluster/cluster.ts';
import type { Nats } from '../cluster/nats.ts';
import type { Image } from '../cluster/node/environment.ts';
import type { CrashBackoff } from '../cluster/node/node.ts';
import type { Postgres } from '../cluster/postgres.ts';
import { createEmptyCore } from '../core/database.ts';
import { keepEnvironmentHistory } from '../core/history.ts';
import { createTables, type DynamodbAccess, type TestTables } from '../edge/tables.ts';
import { takeTurns } from '../faults/disturbance.ts';
import { type DynamodbProxy, startDynamodbProxy } from '../faults/dynamodb-proxy.ts';
import { installCrd } from '../integration/crd.ts';
import { CORE_API, captureEnvironment, describeCoreApi, readApplier } from './replay-parts.ts';
import type { DynamodbFaults, StoreSettings, Target, TargetOptions } from './target.ts';
import { createVerbs, NAMESPACE } from './verbs.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Name of the ConfigMap and the Secret with the settings of both stores. */
const STORES = 'edge-migration-stores';
const IMAGE = 'edge-migration:0.1.0';

export interface InstallationOptions extends TargetOptions {
  /** Overridden variables of the appliers' container. */
  applierEnvironment?: Readonly<Record<string, string>>;
  /** The same for the sidecars'. */
  sidecarEnvironment?: Readonly<Record<string, string>>;
  /** The port that the product uses for Core's database instead of the server's own. */
  databasePort?: (real: number) => Promise<number>;
  /** Endpoint that operator and copy pods use for DynamoDB instead of the server's own, for fault proxies. */
  dynamodbEndpoint?: (real: string) => Promise<string>;
  crashBackoff?: CrashBackoff;
  /** Further images that pods of the test run. */
  images?: Readonly<Record<string, Image>>;
  /** An existing Edge, instead of a DynamoDB that lives and dies with the cluster. */
  edge?: DynamodbAccess;
  /** Additional settings of operator, copy pods and appliers for Edge. */
  edgeSettings?: Readonly<Record<string, string>>;
  /** An existing Core, instead of an empty one on a Postgres that lives and dies with the cluster. */
  core?: { readonly postgres: Postgres; readonly databaseUrl: string };
  signal?: AbortSignal;
}

/** A cluster with both stores and NATS. */
export type StoresCluster = Omit<Cluster, 'dynamodb'> & {
  readonly postgres: Postgres;
  readonly dynamodb: DynamodbAccess;
  readonly nats: Nats;
};

/** The product on an embedded cluster, installed from the shipped manifests, next to empty stores. */
export interface Installation extends Target {
  readonly cluster: StoresCluster;
  /** Switches copy pods that start from now on to another DynamoDB endpoint. */
  useDynamodb(endpoint: string): Promise<void>;
}

/** Starts the cluster and installs the product: CRD, rights, settings, two replicas of the operator. */
export async function install(options: InstallationOptions = {}): Promise<Installation> {
  const { signal, core } = options;
  const product = { entrypoint: [process.execPath], cwd: ROOT, env: COMPILED_CODE };
  const images = { [IMAGE]: product, ...options.images };
  await using started = new AsyncDisposableStack();
  const {
    postgres = core?.postgres,
    dynamodb = options.edge,
    ...others
  } = started.use(
    await startCluster({
      images,
      postgres: core === undefined ? {} : false,
      dynamodb: options.edge === undefined ? {} : false,
      nats: {},
      node: options.crashBackoff === undefined ? {} : { crashBackoff: options.crashBackoff },
      ...(signal === undefined ? {} : { signal }),
    }),
  );
  if (postgres === undefined || dynamodb === undefined) throw new Error('The cluster has no Postgres or no DynamoDB');
  const cluster: StoresCluster = { ...others, postgres, dynamodb };
  const databaseUrl = core?.databaseUrl ?? (await createCore(postgres, 'flagsmith'));
  const tables = started.use(await createTables(cluster.dynamodb));
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromFile(cluster.kubeconfig);
  const client = createClient({ kubeConfig, clock: systemClock, userAgent: 'edge-migration-test' });
  started.defer(() => client.close());
  await installCrd(client);
  const proxy = options.dynamodbFaults ? started.use(await startDynamodbProxy(cluster.dynamodb.endpoint)) : undefined;
  const { endpoint: real } = proxy ?? cluster.dynamodb;
  const endpoint = (await options.dynamodbEndpoint?.(real)) ?? real;
  const readerUrl = describeReader(databaseUrl, await options.databasePort?.(cluster.postgres.port));
  const stores = describeStores(readerUrl, tables, endpoint, options);
  await applyManifests(cluster, [...stores, ...(await readManifests(options, cluster.nats.urlOf('operator')))]);
  if (options.replay) {
    const applier = await readApplier(cluster.nats.urlOf('applier'), options.applierEnvironment);
    const coreApi = await describeCoreApi(databaseUrl, cluster.nats.urlOf('sidecar'), options.sidecarEnvironment);
    await applyManifests(cluster, [...applier, ...coreApi]);
  }
  const stack = started.move();
  const stop = () => stack.disposeAsync();
  return {
    cluster,
    client,
    tables,
    databaseUrl,
    readerUrl,
    namespace: NAMESPACE,
    ...(proxy === undefined ? {} : { dynamodb: describeFaults(proxy) }),
    ...createOwnVerbs(cluster, client),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Creates a database with Flagsmith's schema, and the product's read-only user. */
export async function createCore({ urlOf }: Pick<Postgres, 'urlOf'>, name: string): Promise<string> {
  const url = await createEmptyCore(urlOf, name);
  await keepEnvironmentHistory(url);
  await execute(
    url,
    `DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'edge_migration') THEN
       CREATE ROLE edge_migration LOGIN PASSWORD 'read-only'; END IF; END $$;
     GRANT SELECT ON ${READ_TABLES.join()} TO edge_migration`,
  );
  return url;
}

/** The same database for the product's user, on another port if one is given. */
export function describeReader(databaseUrl: string, port?: number): string {
  const reader = new URL(databaseUrl);
  if (port !== undefined) reader.port = String(port);
  reader.username = 'edge_migration';
  reader.password = 'read-only';
  return reader.href;
}

const describeFaults = (proxy: DynamodbProxy): DynamodbFaults => ({
  writes: async () => proxy.writes(),
  disturb: async (disturbances) => proxy.inject(takeTurns(disturbances)),
});

/** Settings and credentials of both stores, as in a real installation. */
function describeStores(
  readerUrl: string,
  tables: TestTables,
  endpoint: string,
  { optionalTables = false, edgeSettings }: Pick<InstallationOptions, 'optionalTables' | 'edgeSettings'>,
): object[] {
  const metadata = { name: STORES, namespace: NAMESPACE };
  return [
    ...[NAMESPACE, CORE_API.namespace].map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })),
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata,
      data: {
        EDGE_MIGRATION_DYNAMODB_ENDPOINT: endpoint,
        EDGE_MIGRATION_DYNAMODB_REGION: tables.settings.dynamodbRegion,
        EDGE_MIGRATION_IDENTITIES_TABLE: tables.settings.identitiesTable,
        ...edgeSettings,
        ...(optionalTables
          ? {
              EDGE_MIGRATION_ENVIRONMENTS_V2_TABLE: tables.settings.environmentsV2Table,
              EDGE_MIGRATION_PROJECT_METADATA_TABLE: tables.settings.projectMetadataTable,
            }
          : {}),
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata,
      stringData: {
        EDGE_MIGRATION_DATABASE_URL: readerUrl,
        AWS_ACCESS_KEY_ID: 'local',
        AWS_SECRET_ACCESS_KEY: 'local',
      },
    },
  ];
}

interface Deployment {
  kind: string;
  spec: { template: { spec: { containers: { env: { name: string; value: string }[] }[] } } };
}

/** The shipped manifests, with the test's settings added to the operator's environment. */
async function readManifests(
  { pageMaxAgeSeconds, operatorEnvironment, replay }: InstallationOptions,
  natsUrl: string,
): Promise<object[]> {
  const files = ['rbac.yaml', 'operator.yaml'].map((name) => new URL(`../../operator/deploy/${name}`, import.meta.url));
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  const objects = texts.flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as object));
  const environment = {
    ...(pageMaxAgeSeconds === undefined
      ? {}
      : {
          EDGE_MIGRATION_PAGE_MAX_AGE_SECONDS: String(pageMaxAgeSeconds),
          // No write is delayed longer here.
          EDGE_MIGRATION_LATE_WRITE_SECONDS: String(pageMaxAgeSeconds),
        }),
    ...(replay ? captureEnvironment(natsUrl) : {}),
    ...operatorEnvironment,
  };
  const deployment = objects.find((object) => (object as Deployment).kind === 'Deployment') as Deployment;
  const added = Object.entries(environment).map(([name, value]) => ({ name, value }));
  deployment.spec.template.spec.containers[0]?.env.push(...added);
  return objects;
}

async function applyManifests({ kubectl }: Pick<Cluster, 'kubectl'>, objects: readonly object[]): Promise<void> {
  const list = { apiVersion: 'v1', kind: 'List', items: objects };
  await kubectl(['apply', '--server-side', '-f', '-'], { input: JSON.stringify(list) });
}

function createOwnVerbs(cluster: StoresCluster, client: KubernetesClient) {
  const { kubectl } = cluster;
  const { readyApiPods, restartOperator, ...verbs } = createVerbs(kubectl, client);
  const setting = { namespace: NAMESPACE, name: STORES };

  return {
    ...verbs,
    kubectl,
    coreApis: async () => (await readyApiPods()).map(({ ip }) => `http://${ip}:8000`),
    async useDynamodb(endpoint: string) {
      await client.patch(CONFIG_MAPS, setting, { data: { EDGE_MIGRATION_DYNAMODB_ENDPOINT: endpoint } });
    },
    async reconfigure({ identitiesTable, databaseUrl }: StoreSettings) {
      const change = (kind: string, field: string, data: object) =>
        kubectl(['patch', kind, STORES, '-n', NAMESPACE, '--type=merge', '-p', JSON.stringify({ [field]: data })]);
      if (identitiesTable !== undefined) {
        await change('configmap', 'data', { EDGE_MIGRATION_IDENTITIES_TABLE: identitiesTable });
      }
      if (databaseUrl !== undefined) {
        await change('secret', 'stringData', { EDGE_MIGRATION_DATABASE_URL: databaseUrl });
      }
      await restartOperator();
    },
    async kill(namespace: string, pod: string, container: string) {
      cluster.node.signal(namespace, pod, container, 'SIGKILL');
    },
    async crashApiServer() {
      await cluster.apiserver.kill('SIGKILL');
      await cluster.apiserver.restart();
    },
  };
}
