import { readFileSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  EDGE_MIGRATIONS,
  type EdgeMigration,
  parseEdgeMigration,
} from '@edge-migration/contract/edge-migration/api.ts';
import { insertRows, ONE_PROJECT } from '@edge-migration/identity/fixtures/core-rows.ts';
import { createClient, type KubernetesClient, type Resource } from '@edge-migration/kubernetes/client.ts';
import { loadKubeConfig } from '@edge-migration/kubernetes/kube-config.ts';
import { LEASES } from '@edge-migration/kubernetes/lease.ts';
import { CONFIG_MAPS, JOBS, PODS, SECRETS } from '@edge-migration/kubernetes/resources.ts';
import { recordedCondition } from '@edge-migration/operator/edge-migration/conditions.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { parseAllDocuments } from 'yaml';
import { COMPILED_CODE } from '../cluster/cache.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { type ManagedProcess, startProcess } from '../cluster/processes.ts';
import { createFolder, removeFolder } from '../cluster/reaper.ts';
import { waitFor } from '../cluster/wait.ts';
import { ROOT, readDeployedArguments, readWorkerTemplate } from '../deployed.ts';
import type { TestTables } from '../edge/tables.ts';
import { type KubernetesProxy, startKubernetesProxy } from '../faults/kubernetes-proxy.ts';
import { installCrd } from '../integration/crd.ts';
import { describeStatus } from './verbs.ts';

/** The operator's own namespace, as in the shipped manifests. */
export const NAMESPACE = 'edge-migration';
/** Another namespace, whose EdgeMigrations own nothing outside it. */
export const TENANT = 'tenant';

const DEPLOY = new URL('../../operator/deploy/', import.meta.url);

/** Comparisons have their own tests. */
const NEVER_COMPARED = { verify: { afterCopy: 'Never', atDeadline: 'Never' } };

/** An API server and the operator's other surroundings; tests start the operators, each behind a proxy. */
export interface World extends AsyncDisposable {
  readonly controlPlane: ControlPlane;
  /** With the cluster admin's rights. */
  readonly client: KubernetesClient;
  readonly folder: string;
  startProxy(): Promise<KubernetesProxy>;
  /** A kubeconfig with the operator's own rights, through a proxy. */
  operatorKubeconfig(proxy: KubernetesProxy): Promise<string>;
  /** The operator's environment variables. */
  environment(settings?: Readonly<Record<string, string>>): Record<string, string>;
  /** Starts the operator's own process. */
  startOperator(kubeconfig: string, settings?: Readonly<Record<string, string>>): Promise<ManagedProcess>;
  /** Adds projects to Core, each with an environment and an identity, or `empty`; returns their ids. */
  addProjects(count: number, options?: { empty: boolean }): Promise<number[]>;
  create(projectId: number, spec?: Readonly<Record<string, unknown>>, namespace?: string): Promise<void>;
  delete(projectId: number, namespace?: string): Promise<void>;
  migration(projectId: number, namespace?: string): Promise<EdgeMigration | undefined>;
  /** Waits until a condition of each of them has this status. */
  condition(projectIds: readonly number[], type: string, status: string, namespace?: string): Promise<void>;
  /** Names of a project's Jobs, by age. */
  jobs(projectId: number): Promise<string[]>;
  /** The content of a project's EdgeMigration and all its objects, without what differs between any two migrations. */
  describe(projectId: number, namespace?: string): Promise<Description>;
  /** As if its holder were known to be dead. */
  deleteLease(): Promise<void>;
}

export interface Description {
  readonly spec?: unknown;
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
  readonly objects: readonly { readonly kind: string; readonly metadata: { readonly name: string } }[];
}

export interface WorldSettings {
  /** Core's database, with its schema. */
  readonly databaseUrl: string;
  readonly tables: TestTables;
}

const RESOURCES = [JOBS, PODS, CONFIG_MAPS, SECRETS];
const MINUTE = 60_000;
/** A unique number. */
const FIRST_PROJECT = 730_000;

export async function startWorld({ databaseUrl, tables }: WorldSettings): Promise<World> {
  await using started = new AsyncDisposableStack();
  const folder = createFolder('operator-world');
  started.defer(() => removeFolder(folder));
  const controlPlane = started.use(await startControlPlane());
  const kubeConfig = loadKubeConfig(controlPlane.kubeconfig);
  const client = createClient({ kubeConfig, clock: systemClock, userAgent: 'edge-migration-test' });
  started.defer(() => client.close());
  await installCrd(client);
  const template = await installRights(controlPlane);
  const args = await readDeployedArguments('operator/deploy/operator.yaml');
  const templateFile = join(folder, 'template.json');
  writeFileSync(templateFile, template);
  await insertRows(databaseUrl, ONE_PROJECT);
  let lastProject = FIRST_PROJECT;
  let processes = 0;

  const environment: World['environment'] = (settings = {}) => ({
    PATH: process.env['PATH'] ?? '',
    ...COMPILED_CODE,
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
    EDGE_MIGRATION_DATABASE_URL: databaseUrl,
    EDGE_MIGRATION_DYNAMODB_ENDPOINT: tables.settings.dynamodbEndpoint,
    EDGE_MIGRATION_DYNAMODB_REGION: tables.settings.dynamodbRegion,
    EDGE_MIGRATION_IDENTITIES_TABLE: tables.settings.identitiesTable,
    EDGE_MIGRATION_NAMESPACE: NAMESPACE,
    EDGE_MIGRATION_INSTANCE: `operator-${processes}`,
    EDGE_MIGRATION_WORKER_TEMPLATE_FILE: templateFile,
    EDGE_MIGRATION_PAGE_MAX_AGE_SECONDS: '1',
    EDGE_MIGRATION_LATE_WRITE_SECONDS: '1',
    EDGE_MIGRATION_METRICS_HOST: '127.0.0.1',
    EDGE_MIGRATION_METRICS_PORT: '0',
    ...settings,
  });

  async function migration(projectId: number, namespace = NAMESPACE) {
    const object = await client.get(EDGE_MIGRATIONS, { namespace, name: nameOf(projectId) });
    return object === undefined ? undefined : parseEdgeMigration(object);
  }

  async function objects(resource: Resource, projectId: number) {
    const labelSelector = `edge.flagsmith.com/project-id=${projectId}`;
    return (await client.list(resource, { namespace: NAMESPACE, labelSelector })).items;
  }

  const stack = started.move();
  return {
    controlPlane,
    client,
    folder,
    environment,
    migration,
    startProxy: async () => stack.use(await startKubernetesProxy(controlPlane)),
    async operatorKubeconfig(proxy) {
      const path = await controlPlane.serviceAccountKubeconfig(NAMESPACE, 'edge-migration-operator');
      writeFileSync(path, readFileSync(path, 'utf8').replace(controlPlane.server, proxy.server));
      return path;
    },
    async startOperator(kubeconfig, settings) {
      const operator = await startProcess({
        name: `operator-${processes++}`,
        command: process.execPath,
        args,
        cwd: ROOT,
        env: { ...environment(settings), KUBECONFIG: kubeconfig },
        folder,
      });
      stack.defer(async () => void (await operator.stop()));
      return operator;
    },
    async addProjects(count, { empty } = { empty: false }) {
      const ids = Array.from({ length: count }, (_, index) => lastProject + index + 1);
      lastProject += count;
      const filled = empty ? [] : ids;
      await insertRows(databaseUrl, {
        projects_project: ids.map((id) => ({ id })),
        environments_environment: filled.map((id) => ({ id, project_id: id, api_key: `key-${id}` })),
        environments_identity: filled.map((id) => ({ id, identifier: `person-${id}`, environment_id: id })),
      });
      return ids;
    },
    async create(projectId, spec = {}, namespace = NAMESPACE) {
      const { group, version, kind } = EDGE_MIGRATIONS;
      const metadata = { name: nameOf(projectId), namespace };
      const object = {
        apiVersion: `${group}/${version}`,
        kind,
        metadata,
        spec: { projectId, ...NEVER_COMPARED, ...spec },
      };
      await client.create(EDGE_MIGRATIONS, object);
    },
    async delete(projectId, namespace = NAMESPACE) {
      await client.delete(EDGE_MIGRATIONS, { namespace, name: nameOf(projectId) });
    },
    async condition(projectIds, type, status, namespace) {
      for (const projectId of projectIds) {
        const isSo = async () => {
          const found = await migration(projectId, namespace);
          const condition = recordedCondition(found?.status.conditions, type as 'Succeeded');
          if (condition?.status !== status) throw new Error(describeStatus(found));
          return true;
        };
        await waitFor(isSo, {
          for: `${type}=${status} of project ${projectId}`,
          timeoutMs: 4 * MINUTE,
          intervalMs: 50,
        });
      }
    },
    async jobs(projectId) {
      return (await objects(JOBS, projectId)).map(({ metadata }) => metadata.name);
    },
    async describe(projectId, namespace) {
      const all = await Promise.all(RESOURCES.map((resource) => objects(resource, projectId)));
      const { uid = '', spec, status } = (await migration(projectId, namespace)) ?? {};
      return normalise({ spec, status, objects: all.flat() }, projectId, uid);
    },
    async deleteLease() {
      await client.delete(LEASES, { namespace: NAMESPACE, name: 'edge-migration-operator' });
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const nameOf = (projectId: number) => `project-${projectId}`;

/** The shipped rights, and the namespaces; returns the shipped pod template of copy pods. */
async function installRights({ kubectl }: ControlPlane): Promise<string> {
  const manifest = await readFile(new URL('rbac.yaml', DEPLOY), 'utf8');
  const rights = parseAllDocuments(manifest).map((document) => document.toJS());
  const namespaces = [NAMESPACE, TENANT].map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }));
  const list = { apiVersion: 'v1', kind: 'List', items: [...namespaces, ...rights] };
  await kubectl(['apply', '--server-side', '-f', '-'], { input: JSON.stringify(list) });
  return readWorkerTemplate();
}

/** Fields set by the API server and the controllers. */
const FILLED_IN = new Set([
  'uid',
  'resourceVersion',
  'creationTimestamp',
  'managedFields',
  'generation',
  'observedGeneration',
  'ownerReferences',
  'generateName',
  // Fields of the comparison that derive from the uid and times.
  'milestone',
]);
const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g;
const VOLUME = /kube-api-access-[a-z0-9]{5}\b/g;
/** The random suffix of a pod's name. */
const POD = /(copy|plan)-(\d+-\d+)-[a-z0-9]{5}\b/g;

function normalise(value: object, projectId: number, uid: string): Description {
  const text = JSON.stringify(value, (key, field) => (FILLED_IN.has(key) ? undefined : field))
    .replaceAll(UUID, (each) => (each === uid ? 'UID' : 'UUID'))
    .replaceAll(/(?<=project-\d+-)[0-9a-f]{8}\b/g, 'UID')
    .replaceAll(VOLUME, 'kube-api-access')
    .replaceAll(TIME, 'TIME')
    .replaceAll(POD, '$1-$2-POD')
    .replaceAll(`:${projectId}`, ':0')
    .replaceAll(String(projectId), 'PROJECT');
  return JSON.parse(text);
}
