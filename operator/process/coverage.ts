import type { Core } from '@edge-migration/identity/core/core.ts';
import type { KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import { createReflector, type Reflector } from '@edge-migration/kubernetes/reflector.ts';
import { PODS } from '@edge-migration/kubernetes/resources.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { ConfigurationError } from '@edge-migration/runtime/configuration.ts';
import type { OperatorConfiguration } from '../config.ts';
import type { CoreApiPod } from '../coverage/decide.ts';
import { createDepartures } from '../edge-migration/departures.ts';
import { observeHorizon } from '../edge-migration/observe.ts';
import { parseCoreApiPod } from '../edge-migration/pods.ts';
import { ReportedStream } from '../edge-migration/reported-stream.ts';
import { BY_PROJECT, type Sources } from '../edge-migration/sources.ts';
import { noStream, type StreamView } from '../edge-migration/stream.ts';
import { createRecordStore } from '../edge-migration/stream-record.ts';
import { createWatchHistory, type WatchHistory } from '../edge-migration/watch-history.ts';
import type { CacheSettings } from './caches.ts';

/** The Core API's pods and the reports of sidecars and appliers. */
export interface Coverage {
  readonly stream: StreamView;
  /** Undefined where there are no pods to watch. */
  readonly coreApi?: Reflector<CoreApiPod> | undefined;
  readonly watchHistory?: WatchHistory | undefined;
}

/** @throws ConfigurationError if capture is required and a setting is missing that it needs */
export function createCoverage(
  client: KubernetesClient,
  configuration: OperatorConfiguration,
  core: Core,
  common: CacheSettings,
  caches: Pick<Sources, 'migrations' | 'configMaps'>,
): Coverage {
  if (configuration.capture === 'Disabled') return { stream: noStream };
  const natsServers = checkSettings(configuration);
  // Gaps have times by the clock of NATS, like those that sidecars report: this machine's may be minutes behind it.
  const storeClock: Clock = { ...common.clock, now: () => stream.now() ?? common.clock.now() };
  const neededSince = () => observeHorizon(caches, storeClock.now());
  const { coreApi, departures, watchHistory } = watchCoreApi(client, configuration, common, {
    storeClock,
    neededSince,
  });
  const stream = new ReportedStream({
    nats: { ...configuration, natsServers },
    pods: () =>
      coreApi === undefined ? [] : coreApi.listedAge() < Number.POSITIVE_INFINITY ? coreApi.list() : undefined,
    departures,
    staticCount: configuration.coreApiStaticCount,
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

/** @returns the servers of NATS */
function checkSettings({ natsServers, coreApiNamespace, coreApiSelector, coreApiStaticCount }: OperatorConfiguration) {
  if (natsServers === undefined)
    throw new ConfigurationError('EDGE_MIGRATION_NATS_SERVERS must be set: capture is Required');
  if (coreApiStaticCount === 0 && (coreApiNamespace === undefined || coreApiSelector === undefined)) {
    throw new ConfigurationError(
      'EDGE_MIGRATION_CORE_API_NAMESPACE and EDGE_MIGRATION_CORE_API_SELECTOR must be set: capture is Required',
    );
  }
  return natsServers;
}

/** The Core API's pods, and those that are gone; nothing where they are not in this cluster. */
function watchCoreApi(
  client: KubernetesClient,
  { coreApiNamespace, coreApiSelector }: OperatorConfiguration,
  common: CacheSettings,
  { storeClock, neededSince }: { storeClock: Clock; neededSince: Parameters<typeof createWatchHistory>[1] },
) {
  if (coreApiNamespace === undefined) return {};
  const watchHistory = createWatchHistory(storeClock, neededSince);
  const coreApi = createReflector({
    client,
    resource: PODS,
    parse: parseCoreApiPod,
    namespaces: [coreApiNamespace],
    labelSelector: coreApiSelector,
    onBlind: watchHistory.noteBlind,
    ...common,
  });
  const departures = createDepartures(storeClock, coreApiNamespace);
  coreApi.subscribe(departures.notice);
  void coreApi.synced.then(() => watchHistory.begin());
  return { coreApi, departures, watchHistory };
}
