import { randomBytes } from 'node:crypto';
import type { Clock } from '@edge-migration/identity/clock.ts';
import type { Logger } from '@edge-migration/identity/logger.ts';
import type { WriteEvent } from '@edge-migration/identity/write-event.ts';
import { EDGE_MIGRATIONS, parseEdgeMigration } from '@edge-migration/operator/edge-migration/api.ts';
import { createClient, type KubernetesClient } from '@edge-migration/operator/kubernetes/client.ts';
import { startMetricsServer, synced } from '@edge-migration/operator/kubernetes/metrics-server.ts';
import { createReflector } from '@edge-migration/operator/kubernetes/reflector.ts';
import type { KubeConfig } from '@kubernetes/client-node';
import { jetstream } from '@nats-io/jetstream';
import { headers, type NatsConnection } from '@nats-io/transport-node';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { connectNats } from '../nats.ts';
import { EVENT_SUBJECT } from '../stream.ts';
import type { ApplierConfiguration } from './config.ts';
import { createCounts } from './counts.ts';
import { createDirectory } from './directory.ts';
import { createInbox } from './inbox.ts';
import { registerMetrics } from './metrics.ts';
import { BY_PROJECT, createMigrations, type Migrations, projectsOf } from './migrations.ts';
import { createParking } from './parking.ts';
import { createPatience, type Patience } from './patience.ts';
import { createPipeline } from './pipeline.ts';
import { createReporter } from './reporter.ts';
import { createResolver } from './resolve.ts';
import { createRunner } from './runner.ts';
import { type Credentials, type OpenStores, openStores } from './stores.ts';
import { awaitApplierStreams } from './streams.ts';
import { createWaiting } from './waiting.ts';
import { CURSOR_HEADER, type Cursor, derivedId } from './work.ts';

export interface ApplierOptions {
  configuration: ApplierConfiguration;
  kubeConfig: KubeConfig;
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
  /** For tests and tools; AWS's default chain when left out. */
  credentials?: Credentials;
}

/** Messages in the stream beyond which nothing is fanned out. */
const BUSY_STREAM = 50_000;

/** Runs an applier until the signal aborts; then what it has in hand is given back. */
export async function runApplier(options: ApplierOptions): Promise<void> {
  const { configuration, kubeConfig, clock, log, signal } = options;
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

  const patience = createPatience(clock, (error) => {
    if (error === undefined) log.info('The stores answer again');
    else log.warn({ err: error }, 'A store cannot be used; tried again until it can');
  });
  const stores = resources.use(openStores(configuration, { clock, patience, credentials: options.credentials }));
  await stores.prepare(signal);
  const connection = await connectNats(configuration, {
    name: `edge-applier ${configuration.instance}`,
    clock,
    signal,
    onFailure: (error) => log.warn({ err: error }, 'Cannot connect to NATS'),
  });
  resources.defer(() => connection.close());
  await awaitApplierStreams(connection, configuration, { clock, log, signal });
  const migrations = createMigrations(reflector, clock);
  isRunning = true;
  log.info('The applier takes events');
  await takeEvents(options, { registry, stores, connection, migrations, patience });
}

interface Parts {
  registry: Registry;
  stores: OpenStores;
  connection: NatsConnection;
  migrations: Migrations;
  patience: Patience;
}

/** Wires the parts between the stream and the stores, and runs them until the signal aborts or one of them fails. */
async function takeEvents(options: ApplierOptions, parts: Parts): Promise<void> {
  const { configuration, clock, log } = options;
  const { stores, connection, migrations, patience } = parts;
  const { core, edge } = stores;
  const failing = new AbortController();
  const signal = AbortSignal.any([options.signal, failing.signal]);
  const counts = createCounts();
  const pending = () => reporter.position?.pending ?? 0;
  const inbox = createInbox({ connection, settings: configuration, clock, log });
  const waiting = createWaiting(configuration, clock, (projectId, works) => runner.apply(projectId, works));
  const { isFull } = waiting;
  const directory = createDirectory({ core, release: () => stores.now().release, patience, clock, signal });
  const resolver = createResolver({ core, edge, directory, patience, signal });
  const parking = createParking({ connection, migrations, pending, isFull, clock, log });
  const pipeline = createPipeline({ migrations, resolver, parking, counts, enqueue: waiting.add, isFull, clock, log });
  const runner = createRunner({
    stores: stores.now,
    migrations,
    pipeline,
    patience,
    counts,
    publish: createPublish(connection),
    isBusy: () => pending() > BUSY_STREAM,
    onApplied: (projectId, lag) => metrics.observeLag(projectId, lag),
    clock,
    log,
    signal,
  });
  const reporter = createReporter({
    connection,
    process: `${configuration.instance}-${randomBytes(4).toString('hex')}`,
    instance: configuration.instance,
    counts,
    parking,
    inHand: waiting.inHand,
    isConfirmed: migrations.isConfirmed,
    outage: patience.outage,
    clock,
    log,
  });
  const metrics = registerMetrics(parts.registry, {
    counts,
    parking,
    reporter,
    inHand: () => inbox.held.size,
    writeUnits: () => edge.budget.spent(),
  });
  const loops = [
    inbox.run(signal, pipeline.handle),
    pipeline.run(signal),
    parking.run(signal),
    reporter.run(signal),
    migrations.keepConfirmed(() => inbox.held.size > 0, signal),
    stores.follow(signal),
  ];
  // They end by the signal alone; whichever ends otherwise takes the others with it.
  await Promise.all(loops).catch((error: unknown) => failing.abort(error));
  await Promise.allSettled(loops);
  await waiting.stop();
  runner.close();
  await reporter.sayGoodbye();
  if (!options.signal.aborted) throw failing.signal.reason;
}

function createMigrationReflector(
  client: KubernetesClient,
  { configuration, clock, log }: ApplierOptions,
  registry: Registry,
) {
  return createReflector({
    client,
    resource: EDGE_MIGRATIONS,
    parse: parseEdgeMigration,
    namespaces: configuration.watchNamespaces,
    indexes: { [BY_PROJECT]: projectsOf },
    clock,
    logger: log,
    registry,
  });
}

/** Into the stream of events; `cursor` makes it a page of a fan-out. */
function createPublish(connection: NatsConnection) {
  const client = jetstream(connection);
  return async (event: WriteEvent, cursor?: Cursor) => {
    const fields = headers();
    if (cursor !== undefined) fields.set(CURSOR_HEADER, JSON.stringify(cursor));
    const msgID = cursor === undefined ? event.id : derivedId(event.id, JSON.stringify(cursor));
    await client.publish(EVENT_SUBJECT, JSON.stringify(event), { msgID, headers: fields });
  };
}

function refuseUnless(isRunning: boolean): void {
  if (!isRunning) throw new Error('the stores or NATS have not been reached yet');
}
