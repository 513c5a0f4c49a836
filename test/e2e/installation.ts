import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { systemClock } from '@edge-migration/identity/clock.ts';
import {
  EDGE_MIGRATIONS,
  type EdgeMigration,
  parseEdgeMigration,
} from '@edge-migration/operator/edge-migration/api.ts';
import { CONFIG_MAPS } from '@edge-migration/operator/edge-migration/resources.ts';
import { createClient, type KubernetesClient } from '@edge-migration/operator/kubernetes/client.ts';
import { KubeConfig } from '@kubernetes/client-node';
import { Client } from 'pg';
import { parseAllDocuments } from 'yaml';
import { type Cluster, startCluster } from '../cluster/cluster.ts';
import type { Dynamodb } from '../cluster/dynamodb.ts';
import type { Nats } from '../cluster/nats.ts';
import type { CrashBackoff } from '../cluster/node/node.ts';
import type { Postgres } from '../cluster/postgres.ts';
import { type WaitOptions, waitFor } from '../cluster/wait.ts';
import { createTables, type TestTables } from '../edge/tables.ts';
import { installCrd } from '../integration/crd.ts';
import { CORE_API, captureEnvironment, describeCoreApi, readApplier } from './replay-parts.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const NAMESPACE = 'edge-migration';
/** Name of the ConfigMap and the Secret with the settings of both stores. */
const STORES = 'edge-migration-stores';
const IMAGE = 'edge-migration:0.1.0';

export interface InstallationOptions {
  /** `EDGE_MIGRATION_PAGE_MAX_AGE_SECONDS` of the operator; 30 by default, as shipped. */
  pageMaxAgeSeconds?: number;
  /** Further environment variables of the operator's container. */
  operatorEnvironment?: Readonly<Record<string, string>>;
  /** Endpoint that operator and copy pods use for DynamoDB instead of the server's own, for fault proxies. */
  dynamodbEndpoint?: (real: string) => Promise<string>;
  /** Whether `environments_v2` and the project metadata table are configured. */
  optionalTables?: boolean;
  /** NATS, two Core API pods with sidecars, two appliers; the operator requires capture. */
  replay?: boolean;
  crashBackoff?: CrashBackoff;
  signal?: AbortSignal;
}

/** A cluster with both stores and NATS. */
export type StoresCluster = Cluster & { readonly postgres: Postgres; readonly dynamodb: Dynamodb; readonly nats: Nats };

/** The product on an embedded cluster, installed from the manifests that are shipped, next to empty stores. */
export interface Installation extends AsyncDisposable {
  readonly cluster: StoresCluster;
  readonly client: KubernetesClient;
  readonly tables: TestTables;
  /** Core's database, with Flagsmith's schema, owned by a superuser. */
  readonly databaseUrl: string;
  /** Namespace of operator and Jobs. */
  readonly namespace: string;
  apply(projectId: number, spec?: Readonly<Record<string, unknown>>, namespace?: string): Promise<void>;
  migration(projectId: number, namespace?: string): Promise<EdgeMigration | undefined>;
  /** Waits until the EdgeMigration's condition has this status, and returns it. */
  condition(projectId: number, type: string, status: string, options?: Partial<WaitOptions>): Promise<EdgeMigration>;
  delete(projectId: number, namespace?: string): Promise<void>;
  /** Base URLs of the Core API through the sidecars of its ready pods. */
  coreApis(): Promise<string[]>;
  /** Lets copy pods that start from now on use another endpoint of DynamoDB. */
  useDynamodb(endpoint: string): Promise<void>;
  stop(): Promise<void>;
}

/** Starts the cluster and installs the product: definition, rights, settings, two replicas of the operator. */
export async function install(options: InstallationOptions = {}): Promise<Installation> {
  const { signal } = options;
  const images = { [IMAGE]: { entrypoint: [process.execPath], cwd: ROOT } };
  await using started = new AsyncDisposableStack();
  const cluster = started.use(
    await startCluster({
      images,
      postgres: {},
      dynamodb: {},
      nats: {},
      node: options.crashBackoff === undefined ? {} : { crashBackoff: options.crashBackoff },
      ...(signal === undefined ? {} : { signal }),
    }),
  );
  const databaseUrl = await createCore(cluster);
  const tables = started.use(await createTables(cluster.dynamodb));
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromFile(cluster.kubeconfig);
  const client = createClient({ kubeConfig, clock: systemClock, userAgent: 'edge-migration-test' });
  started.defer(() => client.close());
  await installCrd(client);
  const endpoint = (await options.dynamodbEndpoint?.(cluster.dynamodb.endpoint)) ?? cluster.dynamodb.endpoint;
  const stores = describeStores(databaseUrl, tables, endpoint, options.optionalTables ?? false);
  await applyManifests(cluster, [...stores, ...(await readManifests(options, cluster.nats.url))]);
  if (options.replay) {
    const natsUrl = cluster.nats.url;
    await applyManifests(cluster, [...(await readApplier(natsUrl)), ...(await describeCoreApi(databaseUrl, natsUrl))]);
  }
  const stack = started.move();
  const stop = () => stack.disposeAsync();
  return {
    cluster,
    client,
    tables,
    databaseUrl,
    namespace: NAMESPACE,
    ...createVerbs(cluster, client),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function createCore(cluster: StoresCluster): Promise<string> {
  const { postgres } = cluster;
  await execute(postgres.url, 'CREATE DATABASE flagsmith');
  const url = postgres.urlOf('flagsmith');
  await execute(url, await readFile(new URL('../core/schema.sql', import.meta.url), 'utf8'));
  // What the product gets: a user who can read and nothing else.
  await execute(
    url,
    "CREATE ROLE edge_migration LOGIN PASSWORD 'read-only'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO edge_migration",
  );
  return url;
}

async function execute(url: string, statements: string): Promise<void> {
  const client = new Client(url);
  await client.connect();
  try {
    await client.query(statements);
  } finally {
    await client.end();
  }
}

/** Settings and credentials of both stores, as an installation would write them. */
function describeStores(
  databaseUrl: string,
  tables: TestTables,
  endpoint: string,
  withOptionalTables: boolean,
): object[] {
  const reader = new URL(databaseUrl);
  reader.username = 'edge_migration';
  reader.password = 'read-only';
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
        ...(withOptionalTables
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
        EDGE_MIGRATION_DATABASE_URL: reader.href,
        AWS_ACCESS_KEY_ID: 'local',
        AWS_SECRET_ACCESS_KEY: 'local',
      },
    },
  ];
}

interface Pod {
  status: { podIP: string; conditions?: { type: string; status: string }[] };
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
    ...(pageMaxAgeSeconds === undefined ? {} : { EDGE_MIGRATION_PAGE_MAX_AGE_SECONDS: String(pageMaxAgeSeconds) }),
    ...(replay ? captureEnvironment(natsUrl) : {}),
    ...operatorEnvironment,
  };
  const deployment = objects.find((object) => (object as Deployment).kind === 'Deployment') as Deployment;
  const added = Object.entries(environment).map(([name, value]) => ({ name, value }));
  deployment.spec.template.spec.containers[0]?.env.push(...added);
  return objects;
}

async function applyManifests({ kubectl }: Cluster, objects: readonly object[]): Promise<void> {
  const list = { apiVersion: 'v1', kind: 'List', items: objects };
  await kubectl(['apply', '--server-side', '-f', '-'], { input: JSON.stringify(list) });
}

function createVerbs(cluster: Cluster, client: KubernetesClient) {
  const nameOf = (projectId: number) => `project-${projectId}`;

  async function migration(projectId: number, namespace = NAMESPACE) {
    const object = await client.get(EDGE_MIGRATIONS, { namespace, name: nameOf(projectId) });
    return object === undefined ? undefined : parseEdgeMigration(object);
  }

  return {
    migration,
    async apply(projectId: number, spec: Readonly<Record<string, unknown>> = {}, namespace = NAMESPACE) {
      const manifest = {
        apiVersion: 'edge.flagsmith.com/v1alpha1',
        kind: 'EdgeMigration',
        metadata: { name: nameOf(projectId), namespace },
        spec: { projectId, ...spec },
      };
      await cluster.kubectl(['apply', '-f', '-'], { input: JSON.stringify(manifest) });
    },
    async condition(projectId: number, type: string, status: string, options: Partial<WaitOptions> = {}) {
      const check = async () => {
        const found = await migration(projectId);
        const condition = found?.status.conditions?.find((each) => each.type === type);
        return condition?.status === status && found;
      };
      return waitFor(check, { for: `${type}=${status} of ${nameOf(projectId)}`, intervalMs: 100, ...options });
    },
    async coreApis() {
      const { namespace, selector } = CORE_API;
      const pods = JSON.parse(await cluster.kubectl(['get', 'pods', '-n', namespace, '-l', selector, '-o', 'json']));
      const isReady = ({ status }: Pod) =>
        status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
      return (pods.items as Pod[]).filter(isReady).map(({ status }) => `http://${status.podIP}:8000`);
    },
    async useDynamodb(endpoint: string) {
      const data = { EDGE_MIGRATION_DYNAMODB_ENDPOINT: endpoint };
      await client.patch(CONFIG_MAPS, { namespace: NAMESPACE, name: STORES }, { data });
    },
    async delete(projectId: number, namespace = NAMESPACE) {
      await cluster.kubectl(['delete', 'edgemigration', nameOf(projectId), '-n', namespace]);
    },
  };
}
