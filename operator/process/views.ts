import { afterRequestMs } from '@edge-migration/contract/api-timeout.ts';
import type { KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import type { OperatorConfiguration } from '../config.ts';
import { createCoreClock } from '../edge-migration/core-clock.ts';
import type { DecisionSettings } from '../edge-migration/facts.ts';
import { createFormerWork } from '../edge-migration/former-work.ts';
import { createIdleTimes } from '../edge-migration/idle-times.ts';
import { createJobEvents } from '../edge-migration/job-events.ts';
import { createPodClocks } from '../edge-migration/pod-clocks.ts';
import { createMarks } from '../edge-migration/readiness/marks.ts';
import { createReplicationView } from '../edge-migration/replication-view.ts';
import type { Sources } from '../edge-migration/sources.ts';
import { createHandover, createReadiness } from '../serving.ts';
import type { Caches } from './caches.ts';
import type { Coverage } from './coverage.ts';
import type { OperatorStores } from './stores.ts';

export interface ViewParts {
  readonly configuration: OperatorConfiguration;
  readonly client: KubernetesClient;
  readonly stores: OperatorStores;
  readonly caches: Caches;
  readonly coverage: Coverage;
  readonly clock: Clock;
  readonly logger: Logger;
}

export type Views = ReturnType<typeof createViews>;

/** Everything that the facts are read from, and the loops that keep it up to date. */
export function createViews({ configuration, client, stores, caches, coverage, clock, logger }: ViewParts) {
  const { stream, coreApi, watchHistory } = coverage;
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
    ...{ stream, replication, coreClock, formerWork, watchHistory },
    podClocks: createPodClocks(),
    idleTimes: createIdleTimes(storeClock),
    missingTimes: createIdleTimes(storeClock),
    strandedTimes: createIdleTimes(storeClock),
    jobEvents: createJobEvents(client, configuration.namespace),
    clock: storeClock,
    settings: chooseSettings(configuration),
  };
  return {
    sources,
    storeClock,
    marks,
    handover,
    /** Until the signal aborts. */
    run: (signal: AbortSignal) => Promise.all([stream.run(signal), coreClock.run(signal), replication.run(signal)]),
  };
}

function chooseSettings(configuration: OperatorConfiguration): DecisionSettings {
  return {
    pageMaxAgeMs: configuration.pageMaxAgeSeconds * 1000,
    lateWriteMs: configuration.lateWriteSeconds * 1000,
    overridesTable: configuration.environmentsV2Table,
    gapSettlesMs: afterRequestMs(configuration.apiTimeoutSeconds),
    pricePerMillionWriteUnits: configuration.pricePerMillionWriteUnits,
  };
}
