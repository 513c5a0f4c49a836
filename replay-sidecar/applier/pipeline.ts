import { randomBytes } from 'node:crypto';
import { ensureApplierStreams, PARKING_STREAM } from '@edge-migration/contract/streams/applier.ts';
import { derivedSubject, STREAM } from '@edge-migration/contract/streams/events.ts';
import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import { recheckDelayMs } from '@edge-migration/identity/edge/replication-lag.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { createStoreClock } from '@edge-migration/runtime/nats/store-clock.ts';
import { type JetStreamManager, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Registry } from 'prom-client';
import { Admission } from './admit/admission.ts';
import type { MigrationView } from './admit/migrations.ts';
import type { NextPage } from './apply/derived-events.ts';
import { LAST_RECHECKS_MS } from './apply/rechecks.ts';
import { createRepeats } from './apply/repeats.ts';
import { createRunner, type EventRunnerOptions } from './apply/runner.ts';
import type { ApplierConfiguration } from './config.ts';
import { Consumer } from './consume/consumer.ts';
import { derivedHeaders } from './consume/delivery.ts';
import { createOrphanedMessages } from './consume/orphaned-messages.ts';
import { createRenewal } from './consume/renewal.ts';
import { createWitness, type Witness } from './consume/witness.ts';
import type { EventRetry } from './event-retry.ts';
import { createBacklog } from './report/backlog.ts';
import { type Counts, createCounts } from './report/counts.ts';
import { createLagHistogram, registerApplierMetrics } from './report/metrics.ts';
import { createReporter } from './report/reporter.ts';
import { createEnvironmentCache } from './resolve/environment-cache.ts';
import { createResolver } from './resolve/resolver.ts';
import { createSpreader } from './resolve/spread.ts';
import { type ApplyQueue, type ApplyQueueOptions, createApplyQueue } from './schedule/apply-queue.ts';
import { createProjectAborts } from './schedule/project-aborts.ts';
import { createProjectRateLimiter } from './schedule/project-rate-limiter.ts';
import { Parking } from './settle/parking.ts';
import { createRemovals } from './settle/removals.ts';
import type { ApplierStores } from './stores.ts';

interface PipelineOptions {
  configuration: ApplierConfiguration;
  clock: Clock;
  logger: Logger;
}

/** What is open before events are taken. */
export interface Parts {
  registry: Registry;
  stores: ApplierStores;
  connection: NatsConnection;
  migrations: MigrationView;
  eventRetry: EventRetry;
}

/** Messages in the stream beyond which nothing is fanned out. */
const BUSY_STREAM = 50_000;

/**
 * Wires the steps that an event goes through, a folder each: consume (take it from the stream) -> resolve (whose is
 * it?) -> admit (may it be applied now?) -> schedule (its turn among all projects) -> apply (make Edge agree with Core)
 * -> settle (acknowledge it, or park it until it may go on).
 */
export function assemblePipeline(options: PipelineOptions, parts: Parts, signal: AbortSignal) {
  const { configuration, clock, logger } = options;
  const { connection, migrations } = parts;
  const process = `${configuration.instance}-${randomBytes(4).toString('hex')}`;
  const counts = createCounts();
  const lag = createLagHistogram(parts.registry);
  const taking = assembleTaking(options, parts);
  const { environments, resolver } = assembleResolving(options, parts, signal);
  const aborts = createProjectAborts(migrations, signal);
  const { rateLimiter, queue } = assembleSchedule(options, parts, (projectId, works) => runner.apply(projectId, works));
  const parking = new Parking({
    ...{ connection, migrations, clock, logger },
    ...{ pending: taking.backlog.pending, witnesses: taking.witnesses, now: taking.now },
    ...limitWaits(configuration),
    roomFor: queue.roomFor,
    removals: createRemovals(connection, process, clock),
  });
  const admission = new Admission({
    ...{ migrations, resolver, parking, counts, enqueue: queue.add, isFull: queue.isFull, clock, logger },
    lateWriteSeconds: configuration.lateWriteSeconds,
    renew: createRenewal(connection, taking.witnesses.events),
    spread: (delivery, found) => runner.spread(delivery, found),
  });
  const runner = createRunner({
    ...describeStores(options, parts),
    ...{ aborts, rateLimiter, admission, parking, eventRetry: parts.eventRetry, counts },
    repeats: createRepeats(configuration.apiTimeoutSeconds),
    publish: createPublish(connection, taking.witnesses.events),
    isOver: createIsOver(parts, taking.now),
    isBusy: () => taking.backlog.pending() > BUSY_STREAM,
    onApplied: lag.observe,
    forget: environments.forget,
    ...{ now: taking.now, logger, signal },
  });
  const reporter = assembleReporter(options, parts, { process, counts, lag, taking, queue });
  measure(parts, { counts, parking, taking, queue });
  const orphanedMessages = createOrphanedMessages({ connection, clock, logger });
  return { consumer: taking.consumer, admission, queue, parking, orphanedMessages, reporter, close: aborts.close };
}

type Taking = ReturnType<typeof assembleTaking>;

/** The stream of events, and what is known of it. */
function assembleTaking({ configuration, clock, logger }: PipelineOptions, { connection }: Parts) {
  const store = createStoreClock(clock);
  const now = () => store.now() ?? clock.now();
  const witness = (stream: string) => createWitness({ stream, now, onLoss: () => consumer.drop(), logger });
  const witnesses = { events: witness(STREAM), parked: witness(PARKING_STREAM) };
  const backlog = createBacklog(store, witnesses.events, clock);
  const consumer = new Consumer({
    ...{ connection, settings: configuration, store, witness: witnesses.events, clock, logger },
  });
  return { consumer, witnesses, backlog, now };
}

function assembleResolving({ clock }: PipelineOptions, { stores, migrations, eventRetry }: Parts, signal: AbortSignal) {
  const { core, edge } = stores;
  const asked = { core, migrating: migrations.listProjects, eventRetry, signal };
  const environments = createEnvironmentCache({ ...asked, clock });
  const spreader = createSpreader({ ...asked, environments });
  return { environments, resolver: createResolver({ ...asked, edge, environments, spreader }) };
}

function assembleSchedule(
  { configuration, clock }: PipelineOptions,
  { migrations }: Parts,
  apply: ApplyQueueOptions['apply'],
) {
  const rateLimiter = createProjectRateLimiter((id) => migrations.find(id)?.spec?.replay.maxWriteUnitsPerSecond, clock);
  const isShared = () => migrations.count() > 1;
  return { rateLimiter, queue: createApplyQueue({ ...configuration, rateLimiter, isShared, apply, clock }) };
}

/** The stores as the runner sees them. */
function describeStores({ configuration }: PipelineOptions, { stores }: Parts) {
  const { edge, regions, failover } = stores;
  return {
    stores: stores.shared,
    recheckDelayMs: () => (edge.guarantees().final ? undefined : recheckDelayMs(configuration)),
    region: edge.region,
    elsewhere: regions.compare,
    isResting: regions.isResting,
    isAway: () => failover.away() !== undefined,
    wrote: (key) => failover.wrote(key),
  } satisfies Partial<EventRunnerOptions>;
}

/** Whether nothing of a project is rechecked any more. */
function createIsOver({ migrations }: Parts, now: () => number): EventRunnerOptions['isOver'] {
  return (projectId) => {
    const verdict = migrations.judge(projectId, now() - LAST_RECHECKS_MS);
    return verdict.kind === 'drop' && verdict.reason === 'windowClosed';
  };
}

interface Reported {
  process: string;
  counts: Counts;
  lag: ReturnType<typeof createLagHistogram>;
  taking: Taking;
  queue: ApplyQueue;
}

function assembleReporter(
  { configuration, clock, logger }: PipelineOptions,
  { stores, connection, migrations, eventRetry }: Parts,
  { process, counts, lag, taking, queue }: Reported,
) {
  const { instance, edgeUnreachableSeconds } = configuration;
  return createReporter({
    ...{ connection, process, instance, counts, backlog: taking.backlog, edgeUnreachableSeconds, clock, logger },
    streams: () => Object.values(taking.witnesses).flatMap((one) => one.report() ?? []),
    ensureStreams: (manager: JetStreamManager) => ensureApplierStreams(manager, configuration),
    inHand: queue.inHand,
    isAble: migrations.isAble,
    outage: eventRetry.outage,
    edgeUnreachable: stores.edge.silence,
    away: () => stores.failover.away(),
    /** A project's counts go with its EdgeMigration, except while it has events in flight. */
    forgetProjects(inHand) {
      const isKept = (projectId: number) => inHand.has(projectId) || migrations.find(projectId) !== undefined;
      counts.keep(isKept);
      lag.keep(isKept);
    },
  });
}

function measure(
  { registry, stores }: Parts,
  { counts, parking, taking, queue }: Pick<Reported, 'counts' | 'taking' | 'queue'> & { parking: Parking },
): void {
  registerApplierMetrics(registry, {
    ...{ counts, parking, backlog: taking.backlog, now: taking.now },
    inHand: () => taking.consumer.held.size,
    waiting: queue.inHand,
    writeUnits: () => stores.edge.budget.spent(),
    homeSilence: () => stores.failover.homeSilence(),
    away: () => stores.failover.away(),
  });
}

/** Neither kind of event takes more than an eighth of the room for all. */
function limitWaits(configuration: ApplierConfiguration) {
  const { unstorableRetrySeconds, unknownRetrySeconds, lateWriteSeconds } = configuration;
  const { unresolvedMaxBytes, unstorableMaxBytes } = configuration;
  const most = configuration.parkedMaxBytes / 8;
  return {
    unstorableRetrySeconds,
    unknownRetrySeconds,
    lateWriteSeconds,
    recheckDelayMs: recheckDelayMs(configuration),
    unresolvedMaxBytes: Math.min(unresolvedMaxBytes, most),
    unstorableMaxBytes: Math.min(unstorableMaxBytes, most),
  };
}

/** Derived events go into the stream, too. */
function createPublish(connection: NatsConnection, witness: Pick<Witness, 'publishing'>) {
  const client = jetstream(connection);
  return async (projectId: number, event: WriteEvent, page?: NextPage) => {
    const { cursor, id = event.id } = page ?? {};
    const headers = derivedHeaders(cursor);
    const check = witness.publishing();
    check(await client.publish(derivedSubject(projectId), JSON.stringify(event), { msgID: id, headers }));
  };
}
