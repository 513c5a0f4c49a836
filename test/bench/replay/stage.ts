/** Everything that an applier needs, with real NATS, Postgres and kube-apiserver, and the applier as its own process. */
import { join } from 'node:path';
import { EDGE_MIGRATIONS } from '@edge-migration/contract/edge-migration/api.ts';
import { ensureStreams } from '@edge-migration/contract/streams/events.ts';
import { STREAM } from '@edge-migration/contract/write-event.ts';
import { execute, insertRows } from '@edge-migration/identity/fixtures/core-rows.ts';
import { createClient } from '@edge-migration/kubernetes/client.ts';
import { loadKubeConfig } from '@edge-migration/kubernetes/kube-config.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { startControlPlane } from '../../cluster/control-plane.ts';
import { startNats } from '../../cluster/nats.ts';
import { freePort } from '../../cluster/ports.ts';
import { startPostgres } from '../../cluster/postgres.ts';
import { probeHttp } from '../../cluster/probe.ts';
import { type ManagedProcess, startProcess } from '../../cluster/processes.ts';
import { createFolder, removeFolder } from '../../cluster/reaper.ts';
import { waitFor } from '../../cluster/wait.ts';
import { createEmptyCore } from '../../core/database.ts';
import { ROOT, readDeployedArguments } from '../../deployed.ts';
import { installCrd } from '../../integration/crd.ts';
import { startStore } from '../store.ts';
import { CREATED_DATE, traitsOf } from './people.ts';

/** Projects, each with one environment of the same id: two that migrate and one that does not. */
export const KNOWN = 1;
export const FOREIGN = 2;
export const FRESH = 3;

export interface Stage extends AsyncDisposable {
  readonly connection: NatsConnection;
  readonly databaseUrl: string;
  /** Whether everything in the stream is done. */
  isDrained(): Promise<boolean>;
  startApplier(edge: { endpoint: string; identitiesTable: string }): Promise<Applier>;
}

export interface Applier extends AsyncDisposable {
  readonly process: ManagedProcess;
  /** Address of the applier's metrics server. */
  readonly metrics: string;
}

/** @param profile folder for V8 CPU profiles of the appliers */
export async function openStage(identities: number, profile: string | undefined): Promise<Stage> {
  const resources = new AsyncDisposableStack();
  const folder = createFolder('bench-replay');
  resources.defer(() => removeFolder(folder));
  const nats = resources.use(await startNats());
  const databaseUrl = await prepareCore(resources.use(await startPostgres()).urlOf, identities);
  const { kubeconfig } = resources.use(await startControlPlane());
  for (const project of [KNOWN, FRESH]) await createMigration(kubeconfig, project);
  const connection = await connect({ servers: nats.url });
  resources.defer(() => connection.close());
  const manager = await jetstreamManager(connection);
  await ensureStreams(manager, { streamReplicas: 1, streamMaxBytes: 4 * 1024 ** 3, streamDuplicateWindowSeconds: 120 });
  return {
    connection,
    databaseUrl,
    isDrained: async () => (await manager.streams.info(STREAM)).state.messages === 0,
    startApplier: ({ endpoint, identitiesTable }) =>
      startApplier(folder, profile, {
        KUBECONFIG: kubeconfig,
        EDGE_MIGRATION_DATABASE_URL: databaseUrl,
        EDGE_MIGRATION_DYNAMODB_ENDPOINT: endpoint,
        EDGE_MIGRATION_IDENTITIES_TABLE: identitiesTable,
        EDGE_MIGRATION_NATS_SERVERS: nats.url,
      }),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

async function prepareCore(urlOf: (database: string) => string, identities: number): Promise<string> {
  const url = await createEmptyCore(urlOf, 'core');
  const projects = [KNOWN, FOREIGN, FRESH];
  await insertRows(url, {
    organisations_organisation: [{ id: 1 }],
    projects_project: projects.map((id) => ({ id })),
    environments_environment: projects.map((id) => ({ id, project_id: id, api_key: `key-${id}` })),
  });
  for (const project of [KNOWN, FRESH]) {
    const firstId = project === KNOWN ? 1 : 100_000_000;
    const people = Array.from({ length: identities }, (_, index) => ({ index, id: firstId + index }));
    await insertRows(url, {
      environments_identity: people.map(({ index, id }) => ({
        ...{ id, identifier: `person-${index}`, environment_id: project, created_date: `${CREATED_DATE}Z` },
      })),
      environments_trait: people.flatMap(({ index, id }) =>
        traitsOf(index).map(({ key, value }, place) => ({
          ...{ id: 3 * id + place, identity_id: id, trait_key: key },
          ...{ value_type: 'unicode', string_value: value },
        })),
      ),
    });
  }
  await execute(url, 'ANALYZE');
  return url;
}

async function createMigration(kubeconfig: string, projectId: number): Promise<void> {
  const client = createClient({ kubeConfig: loadKubeConfig(kubeconfig), clock: systemClock, userAgent: 'bench' });
  await installCrd(client);
  const object = {
    apiVersion: 'edge.flagsmith.com/v1alpha1',
    kind: 'EdgeMigration',
    metadata: { name: `project-${projectId}`, namespace: 'default' },
  };
  await client.apply(EDGE_MIGRATIONS, { ...object, spec: { projectId } }, { fieldManager: 'bench' });
  const conditions = ['Accepted', 'Copied'].map((type) => ({
    ...{ type, status: 'True', reason: 'Bench', message: '' },
    lastTransitionTime: new Date().toISOString(),
  }));
  const options = { fieldManager: 'bench', subresource: 'status' };
  await client.apply(EDGE_MIGRATIONS, { ...object, status: { conditions } }, options);
  await client.close();
}

async function startApplier(
  folder: string,
  profile: string | undefined,
  environment: Readonly<Record<string, string>>,
): Promise<Applier> {
  const port = await freePort();
  const args = await readDeployedArguments('replay-sidecar/deploy/applier.yaml');
  const applier = await startProcess({
    name: 'applier',
    command: process.execPath,
    args: [...(profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]), ...args],
    cwd: ROOT,
    env: {
      PATH: process.env['PATH'],
      // The image has the files precompiled; here the first start does it.
      NODE_COMPILE_CACHE: join(folder, 'compiled'),
      AWS_ACCESS_KEY_ID: 'local',
      AWS_SECRET_ACCESS_KEY: 'local',
      EDGE_MIGRATION_PARKED_MAX_BYTES: String(1024 ** 3),
      EDGE_MIGRATION_MAX_WRITE_UNITS_PER_SECOND: '400000',
      EDGE_MIGRATION_INSTANCE: 'bench',
      EDGE_MIGRATION_METRICS_HOST: '127.0.0.1',
      EDGE_MIGRATION_METRICS_PORT: String(port),
      EDGE_MIGRATION_LOG_LEVEL: 'warn',
      ...environment,
    },
    folder,
  });
  const metrics = `http://127.0.0.1:${port}`;
  await waitFor(async () => (await probeHttp(`${metrics}/readyz`)).status === 200, {
    for: 'the applier',
    timeoutMs: 120_000,
  });
  return { process: applier, metrics, [Symbol.asyncDispose]: async () => void (await applier.stop()) };
}

/** The store that costs nothing. */
export const startNullStore = () => startStore(new URL('./null-store.ts', import.meta.url));
