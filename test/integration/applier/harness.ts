/** An applier between real stores, a real stream and a real API server. */
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EDGE_MIGRATIONS } from '@edge-migration/contract/edge-migration/api.ts';
import { parsePlace } from '@edge-migration/contract/parked-place.ts';
import { type ApplierReport, decodeReport } from '@edge-migration/contract/reports/applier.ts';
import {
  findConsumer,
  PARKING_STREAM,
  PARKING_SUBJECTS,
  REPORT_STREAM,
} from '@edge-migration/contract/streams/applier.ts';
import { EVENT_SUBJECT, ensureStreams } from '@edge-migration/contract/streams/events.ts';
import { STREAM, type WriteEvent } from '@edge-migration/contract/write-event.ts';
import { compositeKey } from '@edge-migration/identity/edge/document/document.ts';
import { openEdge } from '@edge-migration/identity/edge/table/table.ts';
import { type CoreRow, execute, insertRows } from '@edge-migration/identity/fixtures/core-rows.ts';
import { createClient, type KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import { loadKubeConfig } from '@edge-migration/kubernetes/kube-config.ts';
import { namespaces } from '@edge-migration/kubernetes/testing/real-api-server.ts';
import { runApplier } from '@edge-migration/replay-sidecar/applier/applier.ts';
import { applierConfiguration } from '@edge-migration/replay-sidecar/applier/config.ts';
import { systemClock } from '@edge-migration/runtime/clock.ts';
import { createLogger } from '@edge-migration/runtime/logger.ts';
import {
  type ConsumerInfo,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
} from '@nats-io/jetstream';
import { connect, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';
import { COMPILED_CODE } from '../../cluster/cache.ts';
import { type NatsWithAccounts, startNatsWithAccounts } from '../../cluster/nats-accounts.ts';
import { type ManagedProcess, startProcess } from '../../cluster/processes.ts';
import { createFolder, removeFolder } from '../../cluster/reaper.ts';
import { createDatabase, dynamodb, kubernetes, type TestDatabase } from '../../cluster/shared.ts';
import { waitFor } from '../../cluster/wait.ts';
import { keepEnvironmentHistory } from '../../core/history.ts';
import { createTables, type DynamodbAccess, type TestTables } from '../../edge/tables.ts';
import { type Traits, traitsOf } from '../../edge/traits.ts';
import { type KubernetesProxy, startKubernetesProxy } from '../../faults/kubernetes-proxy.ts';
import { installCrd } from '../crd.ts';

export type Item = Awaited<ReturnType<TestTables['scan']>>[number];
export type Statuses = Readonly<Record<string, 'True' | 'False' | 'Unknown'>>;

/** The operator's status while it copies, and afterwards. */
export const COPYING: Statuses = { Accepted: 'True', Copied: 'False', Succeeded: 'Unknown' };
export const COPIED: Statuses = { Accepted: 'True', Copied: 'True', Succeeded: 'Unknown' };

export interface Harness extends AsyncDisposable {
  readonly nats: NatsWithAccounts;
  readonly manager: JetStreamManager;
  readonly kubernetes: KubernetesClient;
  readonly namespace: string;
  /** URL of Core's database, as its owner. */
  readonly databaseUrl: string;
  readonly tables: TestTables;
  /** Endpoint for proxies in front of it. */
  readonly dynamodbEndpoint: string;
  /** Runs statements in Core, each with its own commit. */
  core(...statements: string[]): Promise<void>;
  rows(tables: Readonly<Record<string, readonly CoreRow[]>>): Promise<void>;
  /** Adds a project with one environment of the same id, whose client key is `key-<id>`. */
  project(id: number): Promise<void>;
  migrate(projectId: number, spec?: object, statuses?: Statuses, status?: object): Promise<void>;
  endMigration(projectId: number): Promise<void>;
  publish(...events: WriteEvent[]): Promise<void>;
  publishRaw(subject: string, payload: string, headers?: MsgHdrs): Promise<void>;
  document(key: string, identifier: string): Promise<Item | undefined>;
  /** Traits of a document by key. */
  traits(key: string, identifier: string): Promise<Traits | undefined>;
  /** Adds a document as made by Edge's own clients, or one that came from Core's identity of this id. */
  putInEdge(
    key: string,
    identifier: string,
    traits: Readonly<Record<string, string>>,
    djangoId?: number,
  ): Promise<void>;
  /** The consumer shared by all appliers, as reported by NATS. */
  consumer(): Promise<ConsumerInfo | undefined>;
  /** Messages in the stream of events. */
  depth(): Promise<number>;
  /** Waits until the stream of events is empty, and no event is set aside for possible late writes. */
  drained(timeoutMs?: number): Promise<void>;
  parked(): Promise<Record<string, number>>;
  /** The `spec.retry` under which each poison event of a project waits; 0: of unknown projects. */
  poison(projectId: number): Promise<string[]>;
  reports(): Promise<ApplierReport[]>;
  /** Runs an applier in this process, with the admin's or another kubeconfig; the returned function stops it. */
  start(settings?: Readonly<Record<string, string>>, kubeConfigFile?: string): () => Promise<void>;
  /** A proxy in front of the API server, and a kubeconfig that uses it. */
  startProxy(): Promise<{ proxy: KubernetesProxy; kubeConfigFile: string }>;
  /** Runs an applier as a separate process. */
  spawn(name: string, settings?: Readonly<Record<string, string>>): Promise<ManagedProcess>;
}

/** @param edge server for Edge's tables; by default the run's DynamoDB Local */
export async function createHarness(edge?: DynamodbAccess): Promise<Harness> {
  const resources = new AsyncDisposableStack();
  const database: TestDatabase = resources.use(await createDatabase());
  await keepEnvironmentHistory(database.url);
  await insertRows(database.url, { organisations_organisation: [{ id: 1 }] });
  const access = edge ?? (await dynamodb());
  const tables = resources.use(await createTables(access));
  const nats = resources.use(await startNatsWithAccounts());
  const connection: NatsConnection = await connect({ servers: nats.url });
  resources.defer(() => connection.close());
  const manager = await jetstreamManager(connection, { timeout: 60_000 });
  await ensureStreams(manager, { streamReplicas: 1, streamMaxBytes: 1024 ** 3, streamDuplicateWindowSeconds: 120 });
  const stream: JetStreamClient = jetstream(connection, { timeout: 60_000 });
  const { kubeconfig, ...apiServer } = await kubernetes();
  const client = createClient({ kubeConfig: loadKubeConfig(kubeconfig), clock: systemClock, userAgent: 'test' });
  resources.defer(() => client.close());
  await installCrd(client);
  const namespace = `applier-${randomUUID().slice(0, 8)}`;
  await client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  resources.defer(async () => void (await client.delete(namespaces, { name: namespace })));

  const folder = createFolder('applier');
  resources.defer(() => removeFolder(folder));

  const environment = (settings: Readonly<Record<string, string>>) => ({
    EDGE_MIGRATION_DATABASE_URL: database.url,
    EDGE_MIGRATION_DYNAMODB_ENDPOINT: access.endpoint,
    EDGE_MIGRATION_DYNAMODB_REGION: access.region,
    EDGE_MIGRATION_IDENTITIES_TABLE: tables.settings.identitiesTable,
    EDGE_MIGRATION_NATS_SERVERS: nats.urlOf('applier'),
    EDGE_MIGRATION_WATCH_NAMESPACES: namespace,
    EDGE_MIGRATION_METRICS_HOST: '127.0.0.1',
    EDGE_MIGRATION_METRICS_PORT: '0',
    EDGE_MIGRATION_INSTANCE: 'applier',
    EDGE_MIGRATION_LOG_LEVEL: 'warn',
    EDGE_MIGRATION_PARKED_MAX_BYTES: String(1024 ** 3),
    EDGE_MIGRATION_LATE_WRITE_SECONDS: '2',
    EDGE_MIGRATION_API_TIMEOUT_SECONDS: '10',
    ...settings,
  });

  const harness: Omit<Harness, 'start' | 'startProxy' | 'spawn' | typeof Symbol.asyncDispose> = {
    nats,
    manager,
    kubernetes: client,
    namespace,
    databaseUrl: database.url,
    tables,
    dynamodbEndpoint: access.endpoint,
    core: (...statements) => execute(database.url, ...statements),
    rows: (all) => insertRows(database.url, all),
    project: (id) =>
      insertRows(database.url, {
        projects_project: [{ id }],
        environments_environment: [{ id, project_id: id, api_key: `key-${id}` }],
      }),
    async migrate(projectId, spec = {}, statuses = COPIED, status = {}) {
      const metadata = { name: `project-${projectId}`, namespace };
      const type = { apiVersion: 'edge.flagsmith.com/v1alpha1', kind: 'EdgeMigration', metadata };
      await client.apply(
        EDGE_MIGRATIONS,
        { ...type, spec: { projectId, ...spec } },
        { fieldManager: 'test', force: true },
      );
      const lastTransitionTime = new Date().toISOString();
      const conditions = Object.entries(statuses).map(([type, status]) => ({
        type,
        status,
        reason: 'Test',
        message: '',
        lastTransitionTime,
      }));
      await client.apply(
        EDGE_MIGRATIONS,
        { ...type, status: { conditions, ...status } },
        { fieldManager: 'operator', force: true, subresource: 'status' },
      );
    },
    async endMigration(projectId) {
      await client.delete(EDGE_MIGRATIONS, { name: `project-${projectId}`, namespace });
    },
    async publish(...events) {
      await Promise.all(
        events.map((event) => stream.publish(EVENT_SUBJECT, JSON.stringify(event), { msgID: event.id })),
      );
    },
    async publishRaw(subject, payload, headers) {
      await stream.publish(subject, payload, headers === undefined ? {} : { headers });
    },
    document: (key, identifier) => tables.get(compositeKey(key, identifier)),
    async traits(key, identifier) {
      const document = await harness.document(key, identifier);
      return document && traitsOf(document);
    },
    async putInEdge(key, identifier, all, djangoId) {
      const edge = openEdge(tables.settings, { credentials: access.credentials });
      const item: Item = {
        composite_key: { S: compositeKey(key, identifier) },
        environment_api_key: { S: key },
        identifier: { S: identifier },
        identity_uuid: { S: randomUUID() },
        created_date: { S: '2024-01-01T00:00:00+00:00' },
        django_id: djangoId === undefined ? { NULL: true } : { N: String(djangoId) },
        identity_traits: {
          L: Object.entries(all).map(([name, value]) => ({ M: { trait_key: { S: name }, trait_value: { S: value } } })),
        },
        identity_features: { L: [] },
      };
      await edge.identities.putIfUnchanged(item, undefined);
      edge.close();
    },
    consumer: async () => findConsumer(manager, (await manager.streams.info(STREAM)).created),
    depth: async () => (await manager.streams.info(STREAM)).state.messages,
    // Consequences of a rename or a moved feature state, including the previous test's, wait 15 s in the stream.
    async drained(timeoutMs = 240_000) {
      const isEmpty = async () => (await harness.depth()) === 0;
      const hasLate = async () => Object.keys(await harness.parked()).some((subject) => subject.endsWith('.late'));
      // Late ones return to the stream.
      const isDrained = async () => (await isEmpty()) && !(await hasLate()) && (await isEmpty());
      await waitFor(isDrained, { for: 'the stream to be empty', timeoutMs });
    },
    async parked() {
      const { state } = await manager.streams.info(PARKING_STREAM, { subjects_filter: PARKING_SUBJECTS });
      return state.subjects ?? {};
    },
    async poison(projectId) {
      return Object.entries(await harness.parked()).flatMap(([subject, events]) => {
        const place = parsePlace(subject);
        const isWanted = place?.projectId === projectId && place.reason === 'poison';
        return isWanted ? Array.from({ length: events }, () => place.retry) : [];
      });
    },
    async reports() {
      const { state } = await manager.streams.info(REPORT_STREAM, { subjects_filter: '>' });
      const reports: ApplierReport[] = [];
      for (const subject of Object.keys(state.subjects ?? {})) {
        const message = await manager.streams.getMessage(REPORT_STREAM, { last_by_subj: subject });
        const report = message === null ? undefined : decodeReport(message);
        if (report !== undefined) reports.push(report);
      }
      return reports;
    },
  };
  return {
    ...harness,
    start(settings = {}, kubeConfigFile = kubeconfig) {
      const stop = new AbortController();
      const fields = Object.entries(environment(settings)).map(([name, value]) => [fieldName(name), value]);
      const running = runApplier({
        configuration: applierConfiguration.parse(Object.fromEntries(fields)),
        kubeConfig: loadKubeConfig(kubeConfigFile),
        clock: systemClock,
        credentials: access.credentials,
        logger: createLogger('applier', 'silent'),
        signal: stop.signal,
      });
      return async () => {
        stop.abort(new Error('the test is over'));
        await running.catch((error: unknown) => {
          if (error !== stop.signal.reason) throw error;
        });
      };
    },
    async startProxy() {
      const proxy = resources.use(await startKubernetesProxy(apiServer));
      const kubeConfigFile = join(folder, 'proxied.kubeconfig');
      writeFileSync(kubeConfigFile, readFileSync(kubeconfig, 'utf8').replace(apiServer.server, proxy.server));
      return { proxy, kubeConfigFile };
    },
    spawn: (name, settings = {}) =>
      startProcess({
        name,
        command: process.execPath,
        args: [fileURLToPath(new URL('../../../bin/applier.ts', import.meta.url))],
        env: {
          PATH: process.env['PATH'],
          ...COMPILED_CODE,
          KUBECONFIG: kubeconfig,
          AWS_ACCESS_KEY_ID: 'local',
          AWS_SECRET_ACCESS_KEY: 'local',
          ...environment({ EDGE_MIGRATION_INSTANCE: name, ...settings }),
        },
        folder,
      }),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** `EDGE_MIGRATION_NATS_SERVERS` -> `natsServers`. */
function fieldName(variable: string): string {
  return variable
    .replace('EDGE_MIGRATION_', '')
    .toLowerCase()
    .replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** This many people's names. */
export function people(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `person-${index}`);
}

/** A write about one identity of environment `id`. */
export function written(id: number, identifier: string, changes: Partial<WriteEvent> = {}): WriteEvent {
  return {
    version: 1,
    id: randomUUID(),
    target: { kind: 'identity', environment: { clientKey: `key-${id}` }, identifier },
    touched: { traits: ['plan'], overrides: [] },
    traitGates: [],
    outcome: 'known',
    observedTime: new Date().toISOString(),
    route: 'test',
    instance: 'api-0/uid-0',
    ...changes,
  };
}
