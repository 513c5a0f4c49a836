import { EDGE_MIGRATIONS, parseEdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import { awaitApplierStreams } from '@edge-migration/contract/streams/applier.ts';
import { synced } from '@edge-migration/kubernetes/cache-health.ts';
import { createClient, type KubernetesClient } from '@edge-migration/kubernetes/client.ts';
import { createReflector } from '@edge-migration/kubernetes/reflector.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { startMetricsServer } from '@edge-migration/runtime/http/metrics-server.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { connectNats } from '@edge-migration/runtime/nats/connection.ts';
import type { KubeConfig } from '@kubernetes/client-node';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { BY_PROJECT, createMigrationView, projectsOf } from './admit/migrations.ts';
import type { ApplierConfiguration } from './config.ts';
import { createEventRetry } from './event-retry.ts';
import { assemblePipeline, type Parts } from './pipeline.ts';
import { type Credentials, openApplierStores } from './stores.ts';

export interface ApplierOptions {
  configuration: ApplierConfiguration;
  kubeConfig: KubeConfig;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
  /** For tests and tools; AWS's default chain when omitted. */
  credentials?: Credentials;
}

/** Runs an applier until the signal aborts; what it then has in flight is given back. */
export async function runApplier(options: ApplierOptions): Promise<void> {
  const { configuration, kubeConfig, clock, logger, signal } = options;
  await using resources = new AsyncDisposableStack();
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const client = createClient({ kubeConfig, clock, userAgent: 'edge-applier', registry });
  resources.defer(() => client.close());
  const reflector = createMigrationReflector(client, options, registry);
  let isRunning = false;
  const server = await startMetricsServer({
    registry,
    host: configuration.metricsHost,
    port: configuration.metricsPort,
    ready: { caches: synced([reflector]), running: () => refuseUnless(isRunning) },
  });
  resources.defer(() => server.close());
  const caching = new AbortController();
  const cached = reflector.run(caching.signal);
  resources.defer(async () => {
    caching.abort();
    await cached;
  });

  const eventRetry = createEventRetry(clock, (error) => {
    if (error === undefined) logger.info('the stores answer again');
    else logger.warn({ err: error }, 'a store is unavailable; retrying until it answers');
  });
  const { credentials } = options;
  const stores = resources.use(openApplierStores(configuration, { clock, eventRetry, logger, credentials, signal }));
  // The home region may be unreachable from the start.
  const choosing = stores.failover.run(signal);
  choosing.catch(() => {});
  await stores.prepare(signal);
  const connection = await connectNats(configuration, {
    name: `edge-applier ${configuration.instance}`,
    role: 'applier',
    clock,
    signal,
    onFailure: (error) => logger.warn({ err: error }, 'cannot connect to NATS'),
  });
  resources.defer(() => connection.close());
  await awaitApplierStreams(connection, configuration, { clock, logger, signal });
  const migrations = createMigrationView(reflector, clock);
  isRunning = true;
  logger.info('the applier takes events');
  await takeEvents(options, { registry, stores, connection, migrations, eventRetry }, choosing);
}

/** Runs the parts between the stream and the stores, until the signal aborts or one of them fails. */
async function takeEvents(options: ApplierOptions, parts: Parts, choosing: Promise<never>): Promise<void> {
  const { stores, migrations } = parts;
  const failing = new AbortController();
  const signal = AbortSignal.any([options.signal, failing.signal]);
  const pipeline = assemblePipeline(options, parts, signal);
  const { consumer, admission, queue, parking, orphanedMessages, reporter } = pipeline;
  const loops = [
    consumer.run(signal, (held) => admission.handle(held)),
    admission.run(signal),
    queue.run(signal),
    parking.run(signal),
    orphanedMessages.run(signal),
    reporter.run(signal),
    migrations.keepConfirmed(() => consumer.held.size > 0 || parking.needsView(), signal),
    stores.follow(signal),
    choosing,
  ];
  // They normally end only by the signal; one that ends otherwise stops the others.
  await Promise.all(loops).catch((error: unknown) => failing.abort(error));
  await Promise.allSettled(loops);
  await queue.stop();
  pipeline.close();
  await reporter.sayGoodbye();
  if (!options.signal.aborted) throw failing.signal.reason;
}

function createMigrationReflector(
  client: KubernetesClient,
  { configuration, clock, logger }: ApplierOptions,
  registry: Registry,
) {
  return createReflector({
    client,
    resource: EDGE_MIGRATIONS,
    parse: parseEdgeMigration,
    namespaces: configuration.watchNamespaces,
    indexes: { [BY_PROJECT]: projectsOf },
    clock,
    logger,
    registry,
  });
}

function refuseUnless(isRunning: boolean): void {
  if (!isRunning) throw new Error('the stores or NATS have not been reached yet');
}
