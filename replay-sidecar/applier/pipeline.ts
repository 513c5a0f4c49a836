import { randomBytes } from 'node:crypto';
import { ensureApplierStreams, PARKING_STREAM } from '@edge-migration/contract/streams/applier.ts';
import { derivedSubject, STREAM } from '@edge-migration/contract/streams/events.ts';
import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import { lookAfterMs } from '@edge-migration/identity/edge/replication-lag.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { createStoreClock } from '@edge-migration/runtime/nats/store-clock.ts';
import { type JetStreamManager, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Registry } from 'prom-client';
import { createAdmission } from './admit/admission.ts';
import type { Migrations } from './admit/migrations.ts';
import { createRepeats } from './apply/repeats.ts';
import { createRunner, type NextPage } from './apply/runner.ts';
import type { ApplierConfiguration } from './config.ts';
import { createConsumer } from './consume/consumer.ts';
import { derivedHeaders } from './consume/delivery.ts';
import { createOrphanedMessages } from './consume/orphaned-messages.ts';
import { createRenewal } from './consume/renewal.ts';
import { createWitness, type Witness } from './consume/witness.ts';
import type { Patience } from './patience.ts';
import { createBacklog } from './report/backlog.ts';
import { createCounts } from './report/counts.ts';
import { createLagHistogram, registerMetrics } from './report/metrics.ts';
import { createReporter } from './report/reporter.ts';
import { createEnvironmentCache } from './resolve/environment-cache.ts';
import { createResolver } from './resolve/resolver.ts';
import { createSpreader } from './resolve/spread.ts';
import { createApplyQueue } from './schedule/apply-queue.ts';
import { createProjectAborts } from './schedule/project-aborts.ts';
import { createProjectRateLimiter } from './schedule/project-rate-limiter.ts';
import { createParking } from './settle/parking.ts';
import { createRemovals } from './settle/removals.ts';
import type { OpenStores } from './stores.ts';

/** What is open before events are taken. */
export interface Parts {
  registry: Registry;
  stores: OpenStores;
  connection: NatsConnection;
  migrations: Migrations;
  patience: Patience;
}

/** Looks are repeated for so long after the replay window has closed: several of them with the usual lag. */
const LOOKS_AFTER_WINDOW_MS = 600_000;

/** Messages in the stream beyond which nothing is fanned out. */
const BUSY_STREAM = 50_000;

/**
 * Wires the steps that an event goes through, a folder each: consume (take it from the stream) -> resolve (whose is it?) ->
 * admit (may it be applied now?) -> schedule (its turn among all projects) -> apply (make Edge agree with Core) -> settle
 * (acknowledge it, or put it aside until it may go on).
 */
export function assemblePipeline(
  { configuration, clock, logger }: { configuration: ApplierConfiguration; clock: Clock; logger: Logger },
  { registry, stores, connection, migrations, patience }: Parts,
  signal: AbortSignal,
) {
  const { core, edge, regions, failover } = stores;
  const counts = createCounts();
  const store = createStoreClock(clock);
  const now = () => store.now() ?? clock.now();
  const witness = (stream: string) => createWitness({ stream, now, onLoss: () => consumer.drop(), logger });
  const witnesses = { events: witness(STREAM), parked: witness(PARKING_STREAM) };
  const backlog = createBacklog(store, witnesses.events, clock);
  const aborts = createProjectAborts(migrations, signal);
  const consumer = createConsumer({
    connection,
    settings: configuration,
    store,
    witness: witnesses.events,
    clock,
    logger,
  });
  const rateLimiter = createProjectRateLimiter((id) => migrations.find(id)?.spec?.replay.maxWriteUnitsPerSecond, clock);
  const queue = createApplyQueue({
    ...configuration,
    rateLimiter,
    isShared: () => migrations.count() > 1,
    apply: (projectId, works) => runner.apply(projectId, works),
    clock,
  });
  const { isFull, roomFor } = queue;
  const asked = { core, migrating: migrations.listProjects, patience, signal };
  const environments = createEnvironmentCache({ ...asked, clock });
  const spreader = createSpreader({ ...asked, environments });
  const resolver = createResolver({ ...asked, edge, environments, spreader });
  const { instance } = configuration;
  const process = `${instance}-${randomBytes(4).toString('hex')}`;
  const limits = limitWaits(configuration);
  const parking = createParking({
    connection,
    migrations,
    pending: backlog.pending,
    roomFor,
    ...limits,
    witnesses,
    removals: createRemovals(connection, process, clock),
    now,
    clock,
    logger,
  });
  const admission = createAdmission({
    ...{ migrations, resolver, parking, counts, enqueue: queue.add, isFull, clock, logger },
    lateWriteSeconds: configuration.lateWriteSeconds,
    renew: createRenewal(connection, witnesses.events),
    spread: (delivery, found) => runner.spread(delivery, found),
  });
  const publish = createPublish(connection, witnesses.events);
  const isBusy = () => backlog.pending() > BUSY_STREAM;
  const lag = createLagHistogram(registry);
  const { forget } = environments;
  const doing = {
    stores: stores.shared,
    aborts,
    rateLimiter,
    admission,
    parking,
    patience,
    repeats: createRepeats(configuration.apiTimeoutSeconds),
    counts,
    publish,
    isOver: (projectId: number) => {
      const verdict = migrations.judge(projectId, now() - LOOKS_AFTER_WINDOW_MS);
      return verdict.kind === 'drop' && verdict.reason === 'windowClosed';
    },
    lookAfter: () => (edge.guarantees().final ? undefined : lookAfterMs(configuration)),
    region: edge.region,
    elsewhere: regions.compare,
    isResting: regions.isResting,
    isAway: () => failover.away() !== undefined,
    wrote: failover.wrote,
    isBusy,
    onApplied: lag.observe,
    forget,
  };
  const runner = createRunner({ ...doing, now, logger, signal });
  const state = {
    inHand: queue.inHand,
    isAble: migrations.isAble,
    outage: patience.outage,
    edgeUnreachable: edge.silence,
    away: failover.away,
  };
  const streams = () => Object.values(witnesses).flatMap((one) => one.report() ?? []);
  const ensureStreams = (manager: JetStreamManager) => ensureApplierStreams(manager, configuration);
  /** What is counted of a project goes with its EdgeMigration, but for what is still in hand. */
  function forgetProjects(inHand: ReadonlyMap<number, unknown>): void {
    const isKept = (projectId: number) => inHand.has(projectId) || migrations.find(projectId) !== undefined;
    counts.keep(isKept);
    lag.keep(isKept);
  }
  const reporter = createReporter({
    ...{ connection, process, instance, counts, backlog, streams, ensureStreams },
    ...state,
    forgetProjects,
    edgeUnreachableSeconds: configuration.edgeUnreachableSeconds,
    clock,
    logger,
  });
  const spent = () => edge.budget.spent();
  const measured = { inHand: () => consumer.held.size, waiting: queue.inHand, writeUnits: spent, now };
  registerMetrics(registry, { counts, parking, backlog, ...measured, ...failover });
  const orphanedMessages = createOrphanedMessages({ connection, clock, logger });
  return { consumer, admission, queue, parking, orphanedMessages, reporter, close: aborts.close };
}

/** Neither kind of event takes more than an eighth of what there is for all. */
function limitWaits(configuration: ApplierConfiguration) {
  const { unstorableRetrySeconds, unknownRetrySeconds, lateWriteSeconds } = configuration;
  const { unresolvedMaxBytes, unstorableMaxBytes } = configuration;
  const most = configuration.parkedMaxBytes / 8;
  return {
    unstorableRetrySeconds,
    unknownRetrySeconds,
    lateWriteSeconds,
    unresolvedMaxBytes: Math.min(unresolvedMaxBytes, most),
    unstorableMaxBytes: Math.min(unstorableMaxBytes, most),
  };
}

/** What follows from an event goes into the stream, too. */
function createPublish(connection: NatsConnection, witness: Pick<Witness, 'publishing'>) {
  const client = jetstream(connection);
  return async (projectId: number, event: WriteEvent, page?: NextPage) => {
    const { cursor, id = event.id } = page ?? {};
    const headers = derivedHeaders(cursor);
    const check = witness.publishing();
    check(await client.publish(derivedSubject(projectId), JSON.stringify(event), { msgID: id, headers }));
  };
}
