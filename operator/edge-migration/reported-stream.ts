import type { CoverageReport } from '@edge-migration/contract/reports/coverage.ts';
import { PARKING_STREAM } from '@edge-migration/contract/streams/applier.ts';
import { COVERAGE_STREAM, ensureStreams, type StreamSettings } from '@edge-migration/contract/streams/events.ts';
import type { Loss } from '@edge-migration/contract/streams/watermark.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { connectNats, type NatsSettings } from '@edge-migration/runtime/nats/connection.ts';
import { createStoreClock } from '@edge-migration/runtime/nats/store-clock.ts';
import { STREAM_POLL_MS } from '@edge-migration/runtime/policies.ts';
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import {
  type CoreApiPod,
  type CoverageFacts,
  decideCoverage,
  describePods,
  type SidecarGap,
  type StoredReport,
} from '../coverage/decide.ts';
import { readReports } from '../coverage/read.ts';
import { findSent } from '../coverage/sent.ts';
import { createAppliers } from './appliers.ts';
import type { ClockFact } from './clock-skew.ts';
import type { Departures } from './departures.ts';
import { createTakenTracker } from './drain-watermark.ts';
import type { CaptureFact, CoverageGapFact, ReplayFact } from './facts.ts';
import { createGapProjects, type GapProjects, type ReadProjects } from './gap-projects.ts';
import { sayGoodbyeForUnheard, sayGoodbyeForVanished } from './goodbye.ts';
import { readTransit, type Transit } from './in-flight-events.ts';
import { createLosses } from './losses.ts';
import { createPodStarts } from './pod-starts.ts';
import { ReportClocks } from './report-clocks.ts';
import { createSightings, type Sightings } from './sightings.ts';
import type { Instances, StreamView } from './stream.ts';
import { createRecordKeeper, RECORD_NAME, type RecordKeeper, type RecordStore } from './stream-record.ts';
import type { UsageFact } from './usage/days.ts';
import { UsageCounts, type UsageCountsSettings } from './usage/usage-counts.ts';
import { UsageFollower } from './usage/usage-follower.ts';

export interface ReportedStreamSettings {
  nats: NatsSettings & StreamSettings;
  /** The Core API's pods, from a cache; undefined until they are listed. */
  pods: () => CoreApiPod[] | undefined;
  /** Departures of those pods; undefined where there are none to watch. */
  departures?: Pick<Departures, 'findUnheard' | 'forget'> | undefined;
  /** Sidecars in front of Core APIs outside Kubernetes. */
  staticCount: number;
  freshSeconds: number;
  /** The projects that gaps name; as `core.projects.ofScopes`. */
  readProjects: ReadProjects;
  /** For the sidecars' counts of each environment. */
  usage: Pick<UsageCountsSettings, 'readEnvironments' | 'isMigrated'>;
  /** Stores what is known of the streams, across processes. */
  record: RecordStore;
  /** Losses that ended before this time are forgotten; undefined while that is not known. */
  neededSince: () => number | undefined;
  clock: Clock;
  logger: Logger;
}

/** An applier of an earlier release that has not reported for this long is gone. */
const RELEASE_MS = 60 * 60 * 1000;

/** What was read at one time. */
interface Read {
  /** By the monotonic clock. */
  readonly at: number;
  readonly sidecars: StoredReport[];
  readonly transit: Transit;
  /** Everything observed before this had been taken from the stream by then: later, its events may be elsewhere. */
  readonly takenUntil: number | undefined;
  readonly clocks: ClockFact[];
}

/** Reads the reports every few seconds into memory, so that a decision never waits for NATS. */
export class ReportedStream implements StreamView {
  private readonly settings: ReportedStreamSettings;
  private readonly freshMs: number;
  private last: Read | undefined;
  private problem = 'not connected to NATS yet';
  /** As last logged. */
  private unreadableCount = 0;
  private readonly reported = createAppliers();
  private readonly taken = createTakenTracker();
  private readonly losses = createLosses();
  private readonly starts = createPodStarts();
  private readonly store: ReturnType<typeof createStoreClock>;
  private readonly reportClocks: ReportClocks;
  private readonly keeper: RecordKeeper;
  private readonly sightings: Sightings;
  private readonly projects: GapProjects;
  private readonly usageCounts: UsageCounts;
  private readonly usageFollower: UsageFollower;

  constructor(settings: ReportedStreamSettings) {
    const { clock, logger, freshSeconds } = settings;
    const freshMs = freshSeconds * 1000;
    this.settings = settings;
    this.freshMs = freshMs;
    this.store = createStoreClock(clock);
    this.reportClocks = new ReportClocks({
      appliers: this.reported,
      freshMs,
      ownAhead: () => clock.now() - this.storeTime(),
    });
    this.keeper = createRecordKeeper(settings.record, this.losses, clock);
    this.sightings = createSightings(clock);
    this.projects = createGapProjects(settings.readProjects, clock);
    this.usageCounts = new UsageCounts({ ...settings.usage, clock, freshMs });
    this.usageFollower = new UsageFollower(this.usageCounts, logger);
  }

  capture(projectId?: number): CaptureFact {
    const read = this.fresh();
    if (read === undefined) return this.unknown();
    const facts = this.describeCoverage(read.sidecars);
    if (facts === undefined) {
      return { kind: 'unknown', reason: 'CoreApiNotListed', message: 'the pods of the Core API are not listed yet' };
    }
    const mayConcern = (scope: Parameters<GapProjects['mayConcern']>[0]) => this.projects.mayConcern(scope, projectId);
    const { covered, reason, message, gaps } = decideCoverage(facts, mayConcern);
    const sent = findSent(facts);
    const isLive = ({ report, storedTime }: StoredReport) => !report.goodbye && facts.now - storedTime <= this.freshMs;
    const live = facts.reports.filter(isLive);
    return {
      kind: 'observed',
      covered,
      reason,
      message,
      gaps: [...gaps.map(toFact), ...this.losses.list().map(lossGap)],
      speaking: live.filter(({ report }) => isItself(report, facts.pods)).map(({ report }) => report.podName),
      allSentUntil: sent.until,
      laggard: sent.laggard,
    };
  }

  replay(projectId: number): ReplayFact {
    const read = this.fresh();
    if (read === undefined) return this.unknown();
    const { transit, takenUntil } = read;
    const { project, ...said } = this.reported.replay(projectId, this.aliveSince());
    return {
      kind: 'observed',
      ...said,
      takenUntil,
      underWay: transit.underWay(projectId),
      settledUntil: transit.settledUntil(takenUntil, projectId),
      project: {
        ...project,
        parked: transit.parked(projectId),
        failed: transit.failed(projectId),
        unresolved: transit.failed(0),
        excess: transit.excess(projectId),
        unstorable: this.sightings.join(projectId, transit.unstorable(projectId)),
      },
    };
  }

  usage(projectId: number): UsageFact | undefined {
    return this.fresh() && this.usageCounts.project(projectId);
  }

  appliers(): number | undefined {
    return this.fresh() && this.reported.countApplying(this.aliveSince());
  }

  instances(): Instances | undefined {
    const read = this.fresh();
    const facts = read && this.describeCoverage(read.sidecars);
    if (facts === undefined) return undefined;
    return { coreApiPods: describePods(facts), appliers: this.reported.listAlive(this.aliveSince()) };
  }

  now(): number | undefined {
    return this.store.now();
  }

  clocks(): readonly ClockFact[] {
    return this.fresh()?.clocks ?? [];
  }

  async run(signal: AbortSignal): Promise<void> {
    const { nats, clock, logger } = this.settings;
    const onFailure = (error: unknown) => {
      this.problem = errorMessage(error);
    };
    const options = { name: 'edge-migration-operator', role: 'operator', clock, signal, onFailure } as const;
    const connection = await connectNats(nats, options).catch(() => undefined);
    while (connection !== undefined && !signal.aborted) {
      try {
        const manager = await jetstreamManager(connection);
        await ensureStreams(manager, nats);
        await this.refresh(manager, jetstream(connection), signal);
      } catch (error) {
        if (this.problem !== errorMessage(error))
          logger.warn({ error: errorMessage(error) }, 'the streams cannot be read');
        onFailure(error);
      }
      await clock.sleep(STREAM_POLL_MS, signal).catch(() => {});
    }
    await this.usageFollower.settled();
    await connection?.close();
  }

  /** Undefined when it is too old for decisions. */
  private fresh(): Read | undefined {
    const { last } = this;
    const isFresh = last !== undefined && this.settings.clock.monotonic() - last.at <= this.freshMs;
    return isFresh ? last : undefined;
  }

  private unknown() {
    const message = `the reports of sidecars and appliers are unknown: ${this.problem}`;
    return { kind: 'unknown', reason: 'StreamUnreachable', message } as const;
  }

  /** By NATS's clock once that is known. */
  private storeTime(): number {
    return this.store.now() ?? this.settings.clock.now();
  }

  private aliveSince(): number {
    return this.storeTime() - this.freshMs;
  }

  /** The facts that coverage is judged by; undefined while the pods are not listed. */
  private describeCoverage(reports: StoredReport[]): CoverageFacts | undefined {
    const { staticCount } = this.settings;
    const pods = this.settings.pods();
    if (pods === undefined) return undefined;
    const now = this.storeTime();
    return { pods: this.starts.correct(pods, now), reports, now, freshMs: this.freshMs, staticCount };
  }

  private async refresh(manager: JetStreamManager, client: JetStreamClient, signal: AbortSignal): Promise<void> {
    const { departures, clock, logger } = this.settings;
    await this.keeper.restore(signal);
    const { reports, unreadable } = await readReports(manager);
    this.noteUnreadable(unreadable.length);
    await this.reported.refresh(manager);
    await this.projects.follow(reports, signal);
    this.store.notice((await manager.streams.info(COVERAGE_STREAM)).ts);
    const { sidecars, clocks } = this.reportClocks.follow(reports, this.storeTime());
    this.usageFollower.follow(sidecars, this.storeTime(), signal);
    const facts = this.describeCoverage(sidecars);
    // By now the stream has what the sidecars had sent.
    const transit = await readTransit(manager, clock);
    if (facts !== undefined) this.taken.notice({ ...transit, sentUntil: findSent(facts).until });
    const takenUntil = this.taken.until();
    await this.followLosses(transit, signal);
    this.last = { at: clock.monotonic(), sidecars, transit, takenUntil, clocks };
    if (facts !== undefined) await sayGoodbyeForVanished(client, facts, logger);
    if (departures !== undefined) await sayGoodbyeForUnheard(client, reports, departures, logger);
  }

  private noteUnreadable(count: number): void {
    if (count > 0 && count !== this.unreadableCount)
      this.settings.logger.warn({ count }, 'coverage reports of another release');
    this.unreadableCount = count;
  }

  /**
   * A loss shows only once, so it is stored before any decision depends on it; while that fails, only this process
   * knows of it.
   */
  private async followLosses(transit: Transit, signal: AbortSignal): Promise<void> {
    const { losses, reported, taken } = this;
    const { neededSince, logger } = this.settings;
    losses.forget(neededSince() ?? Number.NEGATIVE_INFINITY);
    const before = losses.list();
    const now = this.storeTime();
    losses.notice({
      now,
      streams: transit.streams,
      isParking: (stream) => stream === PARKING_STREAM,
      settledUntil: transit.settledUntil(taken.until()),
      appliers: reported.evidence(),
      removals: transit.parking && { ...transit.parking, ...reported.removals(now - RELEASE_MS) },
    });
    if (losses.list() !== before) logger.error({ losses: losses.list() }, 'NATS has lost events; recorded a gap');
    try {
      await this.keeper.save(signal);
    } catch (error) {
      signal.throwIfAborted();
      logger.warn({ error: errorMessage(error) }, `the state of the streams cannot be written to ${RECORD_NAME}`);
    }
  }
}

const toFact = ({ from, until, reason, podName }: SidecarGap): CoverageGapFact => ({
  from: Date.parse(from),
  until: until === null ? undefined : Date.parse(until),
  reason,
  podName,
});

/** Whose events they were is unknown. */
const lossGap = ({ from, until }: Loss): CoverageGapFact => ({ from, until, reason: 'streamLost', podName: undefined });

/** A name counts only for its own pod, or for a pod that Kubernetes does not have. */
function isItself({ podUid, podName }: CoverageReport, pods: readonly CoreApiPod[]): boolean {
  return pods.every(({ uid, name }) => (uid === podUid) === (name === podName));
}
