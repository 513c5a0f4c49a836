import { randomBytes } from 'node:crypto';
import type { Clock } from '@edge-migration/identity/clock.ts';
import type { Stores } from '@edge-migration/identity/converge.ts';
import { openCore } from '@edge-migration/identity/core/database.ts';
import { type CoreRelease, readRelease } from '@edge-migration/identity/core/release.ts';
import { compositeKey } from '@edge-migration/identity/edge/document.ts';
import { createWriteBudget } from '@edge-migration/identity/edge/rate.ts';
import { type EdgeOptions, openEdge } from '@edge-migration/identity/edge/table.ts';
import type { Logger } from '@edge-migration/identity/logger.ts';
import { EDGE_MIGRATIONS, parseEdgeMigration } from '@edge-migration/operator/edge-migration/api.ts';
import { createClient } from '@edge-migration/operator/kubernetes/client.ts';
import { startMetricsServer, synced } from '@edge-migration/operator/kubernetes/metrics-server.ts';
import { createReflector } from '@edge-migration/operator/kubernetes/reflector.ts';
import type { KubeConfig } from '@kubernetes/client-node';
import { jetstream } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { connectNats } from '../nats.ts';
import { EVENT_SUBJECT } from '../stream.ts';
import type { ApplierConfiguration } from './config.ts';
import { createCounts } from './counts.ts';
import { createDirectory } from './directory.ts';
import { createFairQueue } from './fair-queue.ts';
import { createInbox } from './inbox.ts';
import { registerMetrics } from './metrics.ts';
import { BY_PROJECT, createMigrations, projectsOf } from './migrations.ts';
import { createParking } from './parking.ts';
import { createPatience } from './patience.ts';
import { createPipeline } from './pipeline.ts';
import { createReporter, type InHand } from './reporter.ts';
import { createResolver } from './resolve.ts';
import { createRunner } from './runner.ts';
import { awaitApplierStreams } from './streams.ts';
import { CURSOR_HEADER, derivedId, type Work } from './work.ts';

export interface ApplierOptions {
  configuration: ApplierConfiguration;
  kubeConfig: KubeConfig;
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
  /** For tests and tools; AWS's default chain when left out. */
  credentials?: NonNullable<EdgeOptions['credentials']>;
  /** Told once where /metrics, /livez and /readyz are. */
  onListening?(url: string): void;
}

/** A release of Flagsmith may be installed at any time in the weeks that replay goes on. */
const RELEASE_MILLIS = 60_000;
/** Messages in the stream beyond which nothing is fanned out. */
const BUSY_STREAM = 50_000;
/** A project whose events wait so long in hand is slow by itself; it may have half of the window, no more. */
const SLOW_MILLIS = 30_000;

/** Runs an applier until the signal aborts; then what is under way ends, and the rest is given back. */
export async function runApplier(options: ApplierOptions): Promise<void> {
  const { configuration, kubeConfig, clock, log } = options;
  const failing = new AbortController();
  const signal = AbortSignal.any([options.signal, failing.signal]);
  await using resources = new AsyncDisposableStack();
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const client = createClient({ kubeConfig, clock, userAgent: 'edge-applier', registry });
  resources.defer(() => client.close());
  const reflector = createReflector({
    client,
    resource: EDGE_MIGRATIONS,
    parse: parseEdgeMigration,
    namespaces: configuration.watchNamespaces,
    indexes: { [BY_PROJECT]: projectsOf },
    clock,
    logger: log,
    registry,
  });
  const migrations = createMigrations(reflector, clock);
  const core = openCore(configuration, {
    maxConnections: configuration.maxDatabaseConnections,
    applicationName: 'edge-applier',
  });
  resources.defer(() => core.close());
  const budget = createWriteBudget({ clock, maximum: configuration.maxWriteUnitsPerSecond });
  const edge = openEdge(configuration, {
    clock,
    budget,
    ...(options.credentials && { credentials: options.credentials }),
  });
  resources.defer(() => edge.close());
  let live = false;
  const server = await startMetricsServer({
    registry,
    host: configuration.metricsHost,
    port: configuration.metricsPort,
    ready: {
      caches: synced([reflector]),
      running: () => {
        if (!live) throw new Error('the stores or NATS have not been reached yet');
      },
    },
  });
  resources.defer(() => server.close());
  options.onListening?.(server.url);
  const patience = createPatience(clock, (error) => {
    if (error === undefined) log.info('The stores answer again');
    else log.warn({ err: error }, 'A store cannot be used; tried again until it can');
  });

  const ending = new AbortController();
  const caching = reflector.run(ending.signal);
  resources.defer(async () => {
    ending.abort();
    await caching;
  });
  let release: CoreRelease = await patience.persist(() => readRelease(core, signal), signal);
  const connection = await connectNats(configuration, {
    name: `edge-applier ${configuration.instance}`,
    clock,
    signal,
    onFailure: (error) => log.warn({ err: error }, 'Cannot connect to NATS'),
  });
  resources.defer(() => connection.close());

  const counts = createCounts();
  const waits = new Map<number, number>();
  const isFull = (projectId: number) =>
    queue.sizeOf(projectId) > configuration.window / 2 && (waits.get(projectId) ?? 0) > SLOW_MILLIS;
  const directory = createDirectory({ core, release: () => release, patience, clock, signal });
  const resolver = createResolver({ core, edge, directory, patience, signal });
  const pending = () => reporter.position?.pending ?? 0;
  const parking = createParking({ connection, migrations, pending, isFull, clock, log });
  const pipeline = createPipeline({ migrations, resolver, parking, counts, enqueue, isFull, clock, log });
  const publisher = jetstream(connection);
  const runner = createRunner({
    stores: (): Stores => ({ core, release, edge, clock }),
    migrations,
    pipeline,
    patience,
    counts,
    async publish(event, cursor) {
      const fields = headers();
      if (cursor !== undefined) fields.set(CURSOR_HEADER, JSON.stringify(cursor));
      const msgID = cursor === undefined ? event.id : derivedId(event.id, JSON.stringify(cursor));
      await publisher.publish(EVENT_SUBJECT, JSON.stringify(event), { msgID, headers: fields });
    },
    isBusy: () => pending() > BUSY_STREAM,
    onApplied: (projectId, lag) => metrics.observeLag(projectId, lag),
    clock,
    log,
    signal,
  });
  resources.defer(runner.close);
  const waiting = new Set<Work>();
  const queue = createFairQueue<Work>(
    { overall: configuration.concurrency, perGroup: configuration.projectConcurrency },
    async (projectId, _, works) => {
      for (const work of works) waiting.delete(work);
      waits.set(projectId, clock.monotonic() - (works[0]?.held.delivered ?? 0));
      await runner.apply(projectId, works);
    },
  );

  function enqueue(work: Work): void {
    const { resolution } = work;
    waiting.add(work);
    const key =
      resolution.kind === 'identity'
        ? `d${compositeKey(resolution.environment.apiKey, resolution.identifier)}`
        : `w${work.held.message.seq}`;
    queue.add(resolution.projectId, key, work);
  }

  const inbox = createInbox({ connection, settings: configuration, clock, log });
  const reporter = createReporter({
    connection,
    process: `${configuration.instance}-${randomBytes(4).toString('hex')}`,
    instance: configuration.instance,
    counts,
    parking,
    inHand,
    isConfirmed: migrations.isConfirmed,
    outage: patience.outage,
    clock,
    log,
  });
  const metrics = registerMetrics(registry, {
    counts,
    parking,
    reporter,
    inHand: () => inbox.held.size,
    writeUnits: () => edge.budget.spent(),
  });

  function inHand(): Map<number, InHand> {
    const result = new Map<number, InHand>();
    for (const { resolution, observed } of waiting) {
      const { events = 0, oldestObserved = observed } = result.get(resolution.projectId) ?? {};
      result.set(resolution.projectId, {
        events: events + 1,
        oldestObserved: Math.min(oldestObserved ?? observed, observed),
      });
    }
    return result;
  }

  async function followRelease(): Promise<never> {
    for (;;) {
      await clock.sleep(RELEASE_MILLIS, signal);
      release = await patience.persist(() => readRelease(core, signal), signal);
    }
  }

  await awaitApplierStreams(connection, configuration, { clock, log, signal });
  live = true;
  log.info('The applier takes events');
  const loops = [
    inbox.run(signal, pipeline.handle),
    pipeline.run(signal),
    parking.run(signal),
    reporter.run(signal),
    migrations.keepConfirmed(() => inbox.held.size > 0, signal),
    followRelease(),
  ];
  try {
    await Promise.all(loops);
  } catch (error) {
    if (!signal.aborted) failing.abort(error);
  } finally {
    await Promise.allSettled(loops);
    await queue.stop();
    await reporter.sayGoodbye();
  }
  if (failing.signal.aborted) throw failing.signal.reason;
}
