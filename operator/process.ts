import { readFile } from 'node:fs/promises';
import { afterRequestMs } from '@edge-migration/contract/api-timeout.ts';
import { EDGE_MIGRATIONS, LABELS, parseEdgeMigration, projectOf } from '@edge-migration/contract/edge-migration/api.ts';
import { type Core, openCore } from '@edge-migration/identity/core/core.ts';
import { createProjectMetadata } from '@edge-migration/identity/edge/project-metadata.ts';
import { createServingTables } from '@edge-migration/identity/edge/serving-tables.ts';
import { connectToEdge } from '@edge-migration/identity/edge/table/connection.ts';
import { openEdge } from '@edge-migration/identity/edge/table/table.ts';
import { confirmedWithin, synced } from '@edge-migration/kubernetes/cache-health.ts';
import {
  createClient,
  type KubernetesClient,
  type KubernetesObject,
  type Resource,
} from '@edge-migration/kubernetes/client.ts';
import { createController, mappedSourceOf, sourceOf } from '@edge-migration/kubernetes/controller.ts';
import { createEventRecorder } from '@edge-migration/kubernetes/event-recorder.ts';
import { LeaderElection } from '@edge-migration/kubernetes/leader-election.ts';
import { createReflector, type Reflector, type ReflectorSettings } from '@edge-migration/kubernetes/reflector.ts';
import { CONFIG_MAPS, JOBS, PODS } from '@edge-migration/kubernetes/resources.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { ConfigurationError } from '@edge-migration/runtime/configuration.ts';
import { startMetricsServer } from '@edge-migration/runtime/http/metrics-server.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { RECONCILE_AGAIN } from '@edge-migration/runtime/policies.ts';
import type { KubeConfig } from '@kubernetes/client-node';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { createStoreChecks } from './check/checks.ts';
import type { OperatorConfiguration } from './config.ts';
import type { CoreApiPod } from './coverage/decide.ts';
import { createCoreClock } from './edge-migration/core-clock.ts';
import { createDepartures } from './edge-migration/departures.ts';
import { describeChanges } from './edge-migration/events.ts';
import { createFormerWork } from './edge-migration/former-work.ts';
import { createIdleTimes } from './edge-migration/idle-times.ts';
import { createJobEvents } from './edge-migration/job-events.ts';
import { registerMigrationMetrics } from './edge-migration/metrics.ts';
import { type WorkerTemplate, workerTemplateSchema } from './edge-migration/objects.ts';
import { observeHorizon } from './edge-migration/observe.ts';
import { type Owned, parseConfigMap, parseJob } from './edge-migration/parse.ts';
import { createPodClocks } from './edge-migration/pod-clocks.ts';
import { parseCoreApiPod, parsePod } from './edge-migration/pods.ts';
import { createMarks } from './edge-migration/readiness/marks.ts';
import { createReconcile } from './edge-migration/reconcile.ts';
import { createReplicationView } from './edge-migration/replication-view.ts';
import { ReportedStream } from './edge-migration/reported-stream.ts';
import { BY_KEY, BY_MIGRATION, BY_PROJECT, type Sources } from './edge-migration/sources.ts';
import { noStream, type StreamView } from './edge-migration/stream.ts';
import { createRecordStore } from './edge-migration/stream-record.ts';
import { createWatchHistory, type WatchHistory } from './edge-migration/watch-history.ts';
import { reportInstallation } from './installation/publish.ts';
import { createHandover, createReadiness } from './serving.ts';

export interface OperatorSettings {
  configuration: OperatorConfiguration;
  kubeConfig: KubeConfig;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
}

/** How long one call is retried when Edge is checked. */
const LOOK_MS = 3_000;

type CacheSettings = Pick<ReflectorSettings<unknown>, 'clock' | 'logger' | 'registry' | 'timings'>;

/** A process whose watches are silent for this long is restarted by the kubelet. */
const STALE_MS = 15 * 60_000;

/** The objects of a migration; for reports only their existence, so that they are deleted with it. */
const OWNED_SELECTOR = `${LABELS.managedBy}=edge-migration,${LABELS.component}`;

/**
 * Runs the operator until the signal aborts. Every replica keeps its caches warm; the one that holds the Lease
 * reconciles.
 *
 * @throws LeadershipLostError if the Lease is lost: the process must end, and restarts as a follower
 * @throws ConfigurationError if the worker's template cannot be used
 */
export async function runOperator({
  configuration,
  kubeConfig,
  clock,
  logger,
  signal,
}: OperatorSettings): Promise<void> {
  const { workerTemplateFile, verifyTemplateFile } = configuration;
  const template = await readTemplate(workerTemplateFile);
  const verifyTemplate = verifyTemplateFile === undefined ? template : await readTemplate(verifyTemplateFile);
  const registry = new Registry();
  const client = createClient({ kubeConfig, clock, userAgent: 'edge-migration-operator', registry });
  const stores = openWorkerStores(configuration, clock);
  const common = { clock, logger, registry, timings: { relistMs: configuration.relistSeconds * 1000 } };
  const caches = createCaches(client, configuration, common);
  const { stream, coreApi, watchHistory } = createCapture(client, configuration, stores.core, common, caches);
  /** Data on which several replicas base decisions, and compare with the reports of others. */
  const storeClock: Clock = { ...clock, now: () => stream.now() ?? clock.now() };
  const coreClock = createCoreClock({
    readCoreTime: (signal) => stores.core.server.time(signal),
    now: () => stream.now(),
    clock,
  });
  const replication = createReplicationView(stores.hastyEdge, { clock, logger });
  const handover = createHandover(configuration, client, storeClock);
  const marks = stores.projectMetadata && createMarks(stores.projectMetadata, storeClock);
  const formerWork = createFormerWork(storeClock);
  caches.pods.subscribe(formerWork.notice);
  const sources: Sources = {
    ...caches,
    ...stores,
    readiness: createReadiness(configuration, stores, storeClock),
    handover,
    marks,
    corePodsUnknown: () => coreApi !== undefined && coreApi.listedAge() === Number.POSITIVE_INFINITY,
    forwardingPod: () => coreApi?.list().find(({ knowsEdge }) => knowsEdge)?.name,
    stream,
    replication,
    coreClock,
    podClocks: createPodClocks(),
    idleTimes: createIdleTimes(storeClock),
    formerWork,
    missingTimes: createIdleTimes(storeClock),
    strandedTimes: createIdleTimes(storeClock),
    watchHistory,
    jobEvents: createJobEvents(client, configuration.namespace),
    clock: storeClock,
    settings: {
      pageMaxAgeMs: configuration.pageMaxAgeSeconds * 1000,
      lateWriteMs: configuration.lateWriteSeconds * 1000,
      overridesTable: configuration.environmentsV2Table,
      gapSettlesMs: afterRequestMs(configuration.apiTimeoutSeconds),
      pricePerMillionWriteUnits: configuration.pricePerMillionWriteUnits,
    },
  };
  const election = new LeaderElection({
    client,
    namespace: configuration.namespace,
    name: 'edge-migration-operator',
    identity: `${configuration.instance}_${crypto.randomUUID()}`,
    leaseDurationMs: configuration.leaseDurationSeconds * 1000,
    renewDeadlineMs: configuration.renewDeadlineSeconds * 1000,
    retryPeriodMs: configuration.retryPeriodSeconds * 1000,
    annotate: watchHistory?.annotate,
    clock,
    logger,
    registry,
  });
  registerMigrationMetrics(registry, { migrations: caches.migrations, stream, clock: storeClock });
  collectDefaultMetrics({ register: registry });
  const all = [...Object.values(caches), ...(coreApi === undefined ? [] : [coreApi])] as Reflector<unknown>[];
  const server = await startMetricsServer({
    registry,
    host: configuration.metricsHost,
    port: configuration.metricsPort,
    ready: { caches: synced(all) },
    alive: { watches: confirmedWithin(STALE_MS, all) },
  });
  const ending = new AbortController();
  const either = AbortSignal.any([signal, ending.signal]);
  const running = Promise.all([
    ...all.map((cache) => cache.run(either)),
    stream.run(either),
    coreClock.run(either),
    replication.run(either),
  ]);
  try {
    await election.run(signal, async (leadership) => {
      const fenced = leadership.fence(client);
      // Events are writes like any other: a former leader has none to send.
      const recorder = createEventRecorder({
        client: fenced,
        reportingController: 'edge.flagsmith.com/operator',
        reportingInstance: configuration.instance,
        clock,
        logger,
        registry,
      });
      const context = {
        client: fenced,
        core: stores.core,
        projectMetadata: marks,
        handover: handover?.runner,
        clock: storeClock,
        namespace: configuration.namespace,
        template,
        verifyTemplate,
        pageMaxAgeSeconds: configuration.pageMaxAgeSeconds,
        lateWriteSeconds: configuration.lateWriteSeconds,
      };
      const controller = createController({
        name: 'edgemigration',
        sources: [
          sourceOf(caches.migrations),
          ...[caches.jobs, caches.configMaps, caches.pods].map((cache) =>
            mappedSourceOf(cache as Reflector<Owned<unknown>>, ({ migration }) => [migration]),
          ),
        ],
        reconcile: createReconcile({
          sources,
          context,
          onStatus(migration, status) {
            for (const event of describeChanges(migration, status)) recorder.record(event);
          },
        }),
        workers: configuration.concurrency,
        queue: { backoff: RECONCILE_AGAIN },
        clock,
        logger,
        registry,
      });
      const recording = new AbortController();
      const recorded = recorder.run(recording.signal);
      const installation = {
        ...describeInstallation(configuration, clock),
        client: fenced,
        stream,
        clock,
        logger,
      };
      const reported = reportInstallation(installation, AbortSignal.any([leadership.signal, recording.signal]));
      try {
        await controller.run(leadership.signal);
      } finally {
        recording.abort();
        await Promise.all([recorded, reported]);
      }
    });
  } finally {
    ending.abort();
    await running;
    await server.close();
    await client.close();
    await stores.core.close();
    stores.close();
  }
}

/** The caches continuously show that EdgeMigrations can be listed. */
function describeInstallation(configuration: OperatorConfiguration, clock: Clock) {
  const { namespace, instance } = configuration;
  return {
    namespace,
    instance,
    checks: createStoreChecks({ configuration: { ...configuration, timeoutSeconds: 15 }, clock }),
  };
}

async function readTemplate(file: string): Promise<WorkerTemplate> {
  try {
    return workerTemplateSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    throw new ConfigurationError(`the worker's pod template ${file} cannot be used: ${(cause as Error).message}`, {
      cause,
    });
  }
}

function openWorkerStores(configuration: OperatorConfiguration, clock: Clock) {
  const core = openCore(configuration, { maxConnections: 4, applicationName: 'edge-migration-operator', clock });
  const edge = openEdge(configuration, { clock });
  const connection = connectToEdge(configuration, { clock });
  // A check of Edge must not delay other decisions.
  const hasty = connectToEdge(configuration, { clock, retryBudgetMs: LOOK_MS });
  const hastyEdge = openEdge(configuration, { clock, retryBudgetMs: LOOK_MS });
  const { projectMetadataTable } = configuration;
  return {
    core,
    edge,
    hastyEdge,
    serving: createServingTables(hasty, configuration),
    projectMetadata:
      projectMetadataTable === undefined ? undefined : createProjectMetadata(connection, projectMetadataTable),
    close() {
      edge.close();
      connection.close();
      hasty.close();
      hastyEdge.close();
    },
  };
}

/** The Core API's pods and the reports of sidecars and appliers, if capture is required. */
function createCapture(
  client: KubernetesClient,
  configuration: OperatorConfiguration,
  core: Core,
  common: CacheSettings,
  caches: Pick<Sources, 'migrations' | 'configMaps'>,
): { stream: StreamView; coreApi?: Reflector<CoreApiPod> | undefined; watchHistory?: WatchHistory | undefined } {
  const { capture, natsServers, coreApiNamespace, coreApiSelector, coreApiStaticCount } = configuration;
  if (capture === 'Disabled') return { stream: noStream };
  if (natsServers === undefined)
    throw new ConfigurationError('EDGE_MIGRATION_NATS_SERVERS must be set: capture is Required');
  if (coreApiStaticCount === 0 && (coreApiNamespace === undefined || coreApiSelector === undefined)) {
    throw new ConfigurationError(
      'EDGE_MIGRATION_CORE_API_NAMESPACE and EDGE_MIGRATION_CORE_API_SELECTOR must be set: capture is Required',
    );
  }
  // Gaps have times by the clock of NATS, like those that sidecars report: this machine's may be minutes behind it.
  const storeClock: Clock = { ...common.clock, now: () => stream.now() ?? common.clock.now() };
  const neededSince = () => observeHorizon(caches, storeClock.now());
  const watchHistory = coreApiNamespace === undefined ? undefined : createWatchHistory(storeClock, neededSince);
  const coreApi =
    coreApiNamespace === undefined
      ? undefined
      : createReflector({
          client,
          resource: PODS,
          parse: parseCoreApiPod,
          namespaces: [coreApiNamespace],
          labelSelector: coreApiSelector,
          onBlind: watchHistory?.noteBlind,
          ...common,
        });
  const departures = coreApiNamespace === undefined ? undefined : createDepartures(storeClock, coreApiNamespace);
  if (departures !== undefined) coreApi?.subscribe(departures.notice);
  void coreApi?.synced.then(() => watchHistory?.begin());
  const stream = new ReportedStream({
    nats: { ...configuration, natsServers },
    pods: () =>
      coreApi === undefined ? [] : coreApi.listedAge() < Number.POSITIVE_INFINITY ? coreApi.list() : undefined,
    departures,
    staticCount: coreApiStaticCount,
    freshSeconds: configuration.reportFreshSeconds,
    readProjects: core.projects.ofScopes,
    usage: {
      readEnvironments: core.environments.refer,
      // Until they are listed, any project may be among them: projects excluded now would not be read again.
      isMigrated: (projectId) =>
        caches.migrations.listedAge() === Number.POSITIVE_INFINITY ||
        caches.migrations.byIndex(BY_PROJECT, String(projectId)).length > 0,
    },
    record: createRecordStore(client, configuration.namespace),
    neededSince,
    clock: common.clock,
    logger: common.logger,
  });
  return { stream, coreApi, watchHistory };
}

function createCaches(
  client: KubernetesClient,
  { namespace, watchNamespaces }: OperatorConfiguration,
  common: CacheSettings,
) {
  const owned = <T>(resource: Resource, parse: (object: KubernetesObject) => Owned<T>) =>
    createReflector<Owned<T>>({
      client,
      resource,
      parse,
      namespaces: [namespace],
      labelSelector: OWNED_SELECTOR,
      indexes: { [BY_MIGRATION]: ({ migrationUid }) => [migrationUid], [BY_KEY]: ({ migration }) => [migration] },
      ...common,
    });
  return {
    migrations: createReflector({
      client,
      resource: EDGE_MIGRATIONS,
      parse: parseEdgeMigration,
      namespaces: watchNamespaces,
      indexes: { [BY_PROJECT]: (migration) => [String(projectOf(migration))] },
      ...common,
    }),
    jobs: owned(JOBS, parseJob),
    configMaps: owned(CONFIG_MAPS, parseConfigMap),
    pods: owned(PODS, parsePod),
  };
}
