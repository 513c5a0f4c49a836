import { confirmedWithin, synced } from '@edge-migration/kubernetes/cache-health.ts';
import { createClient, type KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import { LeaderElection } from '@edge-migration/kubernetes/leader-election.ts';
import type { Reflector } from '@edge-migration/kubernetes/reflector.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { startMetricsServer } from '@edge-migration/runtime/http/metrics-server.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import type { KubeConfig } from '@kubernetes/client-node';
import { collectDefaultMetrics, Registry } from 'prom-client';
import type { OperatorConfiguration } from './config.ts';
import { registerMigrationMetrics } from './edge-migration/metrics.ts';
import { type CacheSettings, createCaches } from './process/caches.ts';
import { type Coverage, createCoverage } from './process/coverage.ts';
import { lead } from './process/leader.ts';
import { openOperatorStores } from './process/stores.ts';
import { readTemplates } from './process/templates.ts';
import { createViews } from './process/views.ts';

export interface OperatorSettings {
  configuration: OperatorConfiguration;
  kubeConfig: KubeConfig;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
}

/** A process whose watches are silent for this long is restarted by the kubelet. */
const STALE_MS = 15 * 60_000;

/**
 * Runs the operator until the signal aborts. Every replica keeps its caches warm; the one that holds the Lease
 * reconciles.
 *
 * @throws LeadershipLostError if the Lease is lost: the process must end, and restarts as a follower
 * @throws ConfigurationError if the worker's template cannot be used
 */
export async function runOperator(settings: OperatorSettings): Promise<void> {
  const { configuration, kubeConfig, clock, logger, signal } = settings;
  const templates = await readTemplates(configuration);
  const registry = new Registry();
  const client = createClient({ kubeConfig, clock, userAgent: 'edge-migration-operator', registry });
  const stores = openOperatorStores(configuration, clock);
  const common = { clock, logger, registry, timings: { relistMs: configuration.relistSeconds * 1000 } };
  const caches = createCaches(client, configuration, common);
  const coverage = createCoverage(client, configuration, stores.core, common, caches);
  const { stream, coreApi } = coverage;
  const views = createViews({ configuration, client, stores, caches, coverage, clock, logger });
  const election = createElection(configuration, client, coverage, common);
  registerMigrationMetrics(registry, { migrations: caches.migrations, stream, clock: views.storeClock });
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
  const running = Promise.all([...all.map((cache) => cache.run(either)), views.run(either)]);
  const parts = { configuration, client, templates, stores, caches, views, clock, logger, registry };
  try {
    await election.run(signal, (leadership) => lead(leadership, parts));
  } finally {
    ending.abort();
    await running;
    await server.close();
    await client.close();
    await stores.core.close();
    stores.close();
  }
}

function createElection(
  configuration: OperatorConfiguration,
  client: KubernetesClient,
  { watchHistory }: Coverage,
  { clock, logger, registry }: Pick<CacheSettings, 'clock' | 'logger' | 'registry'>,
): LeaderElection {
  return new LeaderElection({
    client,
    namespace: configuration.namespace,
    name: 'edge-migration-operator',
    identity: `${configuration.instance}_${crypto.randomUUID()}`,
    leaseDurationMs: configuration.leaseDurationSeconds * 1000,
    renewDeadlineMs: configuration.renewDeadlineSeconds * 1000,
    retryPeriodMs: configuration.retryPeriodSeconds * 1000,
    annotate: watchHistory?.annotate,
    ...{ clock, logger, registry },
  });
}
