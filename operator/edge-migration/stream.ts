import type { CoverageReport } from '@edge-migration/contract/reports/coverage.ts';
import { PARKING_STREAM } from '@edge-migration/contract/streams/applier.ts';
import { COVERAGE_STREAM, ensureStreams, type StreamSettings } from '@edge-migration/contract/streams/events.ts';
import type { Loss } from '@edge-migration/contract/streams/watermark.ts';
import type { Clock } from '@edge-migration/runtime/clock.ts';
import { errorMessage } from '@edge-migration/runtime/error-message.ts';
import type { Logger } from '@edge-migration/runtime/logger.ts';
import { connectNats, type NatsSettings } from '@edge-migration/runtime/nats/connection.ts';
import { createStoreClock } from '@edge-migration/runtime/nats/store-clock.ts';
import { STREAM_LOOK_MS } from '@edge-migration/runtime/policies.ts';
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import {
  type CoreApiPod,
  type CoverageFacts,
  closeVanished,
  decideCoverage,
  describePods,
  type PodCoverage,
  type SidecarGap,
  type StoredReport,
} from '../coverage/decide.ts';
import { readReports } from '../coverage/read.ts';
import { findSent } from '../coverage/sent.ts';
import { toStoreTime } from '../coverage/store-time.ts';
import { createAppliers, type LivingApplier } from './appliers.ts';
import { type ClockFact, createClocks } from './clock-skew.ts';
import type { Departures } from './departures.ts';
import { createTakenTracker } from './drain-watermark.ts';
import type { CaptureFact, CoverageGapFact, ReplayFact } from './facts.ts';
import { createGapProjects, type ReadProjects } from './gap-projects.ts';
import { sayGoodbyeFor } from './goodbye.ts';
import { readTransit, type Transit } from './in-flight-events.ts';
import { createLosses } from './losses.ts';
import { createPodStarts } from './pod-starts.ts';
import { createSightings } from './sightings.ts';
import { createRecordKeeper, RECORD_NAME, type RecordStore } from './stream-record.ts';
import type { UsageFact } from './usage/days.ts';
import { createUsageCounts, type UsageCountsSettings } from './usage/usage-counts.ts';

/** What sidecars and appliers say, as far as it is known now. */
export interface StreamView {
  /** @param projectId leaves out the gaps that are not about this project; all when left out */
  capture(projectId?: number): CaptureFact;
  replay(projectId: number): ReplayFact;
  /** Who calls Core for the project; undefined while that cannot be read. */
  usage(projectId: number): UsageFact | undefined;
  /** Now by the clock of NATS, epoch milliseconds; undefined until it is known. */
  now(): number | undefined;
  /** Of living sidecars and appliers, and of this operator. */
  clocks(): readonly ClockFact[];
  /** How many appliers reported a moment ago and may apply; undefined when that is not known. */
  appliers(): number | undefined;
  /** Each process by itself; undefined when that is not known. */
  instances(): Instances | undefined;
  /** Follows the reports until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

/** Who takes part in capture and replay, as they report. */
export interface Instances {
  readonly coreApiPods: readonly PodCoverage[];
  readonly appliers: readonly Pick<LivingApplier, 'instance' | 'release' | 'applying' | 'outage'>[];
}

export interface StreamViewSettings {
  nats: NatsSettings & StreamSettings;
  /** The Core API's pods, from a cache; undefined until they are listed. */
  pods: () => CoreApiPod[] | undefined;
  /** Of those pods; undefined where there are none to watch. */
  departures?: Pick<Departures, 'findUnheard' | 'forget'> | undefined;
  /** Sidecars in front of Core APIs outside Kubernetes. */
  staticCount: number;
  freshSeconds: number;
  /** The projects of what gaps name; as `core.projects.ofScopes`. */
  readProjects: ReadProjects;
  /** For what sidecars count of each environment. */
  usage: Pick<UsageCountsSettings, 'readEnvironments' | 'isMigrated'>;
  /** For what is known of the streams, across processes. */
  record: RecordStore;
  /** Losses that ended before this time are forgotten; undefined while that is not known. */
  neededSince: () => number | undefined;
  clock: Clock;
  logger: Logger;
}

/** An applier of an earlier release that has not reported for so long is gone. */
const RELEASE_MS = 60 * 60 * 1000;

/** For an installation without capture. */
export const noStream: StreamView = {
  capture: () => ({ kind: 'disabled' }),
  replay: () => ({ kind: 'disabled' }),
  usage: () => undefined,
  appliers: () => undefined,
  instances: () => undefined,
  now: () => undefined,
  clocks: () => [],
  run: async () => {},
};

/** Reads the reports every few seconds into memory, so that a decision never waits for NATS. */
export function createStreamView(settings: StreamViewSettings): StreamView {
  const { clock, logger, freshSeconds } = settings;
  const fresh = freshSeconds * 1000;
  let read: { time: number; sidecars: StoredReport[]; transit: Transit; clocks: ClockFact[] } | undefined;
  let problem = 'not connected to NATS yet';
  /** As last logged. */
  let unreadableCount = 0;
  const reported = createAppliers();
  const taken = createTakenTracker();
  const store = createStoreClock(clock);
  const now = () => store.now() ?? clock.now();
  const clocks = createClocks();
  const losses = createLosses();
  const keeper = createRecordKeeper(settings.record, losses, clock);
  const sightings = createSightings(clock);
  const starts = createPodStarts();
  const projects = createGapProjects(settings.readProjects, clock);
  const usage = createUsageCounts({ ...settings.usage, clock, freshMs: fresh });
  /** As last logged. */
  let usageProblem: string | undefined;
  let followingUsage: Promise<void> | undefined;

  const isFresh = () => read !== undefined && clock.monotonic() - read.time <= fresh;
  const unknown = () => ({
    kind: 'unknown' as const,
    reason: 'StreamUnreachable',
    message: `what sidecars and appliers report is not known: ${problem}`,
  });

  /** What coverage is judged by; undefined while the pods are not listed. */
  function describeCoverage(reports: StoredReport[]): CoverageFacts | undefined {
    const pods = settings.pods();
    const { staticCount } = settings;
    if (pods === undefined) return undefined;
    const time = now();
    return { pods: starts.correct(pods, time), reports, now: time, freshMs: fresh, staticCount };
  }

  /** Notes what the reports say of their authors' clocks. */
  function followClocks(reports: readonly StoredReport[]): { sidecars: StoredReport[]; clocks: ClockFact[] } {
    const known: ClockFact[] = [{ process: 'the operator', ahead: clock.now() - now() }];
    const authors = new Set<string>();
    const notice = (author: string, sequence: number, ahead: number, living?: string) => {
      authors.add(author);
      const estimate = clocks.notice(author, sequence, ahead);
      if (living !== undefined && estimate.isSure) known.push({ process: living, ahead: estimate.ahead });
      return estimate.ahead;
    };
    const sidecars = reports.map((stored) => {
      const { report, sequence, storedTime } = stored;
      const isAlive = !report.goodbye && now() - storedTime <= fresh;
      const author = `sidecar ${report.podUid} ${report.spoolId}`;
      const living = isAlive ? `the sidecar of pod ${report.podName}` : undefined;
      const ahead = notice(author, sequence, Date.parse(report.time) - storedTime, living);
      return { ...stored, report: toStoreTime(report, ahead) };
    });
    for (const { process, instance, sequence, ahead } of reported.listAlive(now() - fresh))
      notice(`applier ${process}`, sequence, ahead, `applier ${instance}`);
    clocks.keep(authors);
    return { sidecars, clocks: known };
  }

  async function refresh(manager: JetStreamManager, client: JetStreamClient, signal: AbortSignal) {
    await keeper.restore(signal);
    const { reports, unreadable } = await readReports(manager);
    if (unreadable.length > 0 && unreadable.length !== unreadableCount)
      logger.warn({ count: unreadable.length }, 'coverage reports of another release');
    unreadableCount = unreadable.length;
    await reported.refresh(manager);
    await projects.follow(reports, signal);
    store.notice((await manager.streams.info(COVERAGE_STREAM)).ts);
    const { sidecars, ...timing } = followClocks(reports);
    followUsage(sidecars, signal);
    const facts = describeCoverage(sidecars);
    // What the sidecars had sent is in the stream by now.
    const transit = await readTransit(manager, clock);
    if (facts !== undefined) taken.notice({ ...transit, sentUntil: findSent(facts).until });
    await followLosses(transit, signal);
    read = { time: clock.monotonic(), sidecars, transit, ...timing };
    for (const closed of facts === undefined ? [] : closeVanished(facts)) {
      logger.warn(
        { pod: closed.report.podName },
        'sidecar or spool disappeared without a final report; recorded a gap',
      );
      await sayGoodbyeFor(client, closed);
    }
    for (const report of settings.departures?.findUnheard(reports) ?? []) {
      logger.warn({ pod: report.podName }, 'a Core API pod has gone whose sidecar never reported: noted its gap');
      await sayGoodbyeFor(client, { report, sequence: 0 });
      settings.departures?.forget(report.podUid);
    }
  }

  /** Nothing waits for it, since Core may be slow: the reports come again. */
  function followUsage(sidecars: readonly StoredReport[], signal: AbortSignal): void {
    followingUsage ??= takeUsage(sidecars, signal).finally(() => {
      followingUsage = undefined;
    });
  }

  async function takeUsage(sidecars: readonly StoredReport[], signal: AbortSignal): Promise<void> {
    try {
      await usage.follow(sidecars, now(), signal);
      usageProblem = undefined;
    } catch (error) {
      if (signal.aborted) return;
      if (usageProblem !== errorMessage(error))
        logger.warn(
          { error: errorMessage(error) },
          'what sidecars count cannot be assigned to projects: Core cannot be asked',
        );
      usageProblem = errorMessage(error);
    }
  }

  /**
   * A loss shows only once, so it is written down before anything is decided by it; while that cannot be, this process alone
   * knows of it.
   */
  async function followLosses(transit: Transit, signal: AbortSignal) {
    losses.forget(settings.neededSince() ?? Number.NEGATIVE_INFINITY);
    const before = losses.list();
    losses.notice({
      now: now(),
      streams: transit.streams,
      isAside: (stream) => stream === PARKING_STREAM,
      settledUntil: transit.underWay() === 0 ? taken.until() : undefined,
      appliers: reported.evidence(),
      removals: transit.parking && { ...transit.parking, ...reported.removals(now() - RELEASE_MS) },
    });
    if (losses.list() !== before) logger.error({ losses: losses.list() }, 'NATS has lost events: noted as a gap');
    try {
      await keeper.save(signal);
    } catch (error) {
      signal.throwIfAborted();
      logger.warn({ error: errorMessage(error) }, `what is known of the streams cannot be written to ${RECORD_NAME}`);
    }
  }

  function capture(projectId?: number): CaptureFact {
    if (read === undefined || !isFresh()) return unknown();
    const facts = describeCoverage(read.sidecars);
    if (facts === undefined) {
      return { kind: 'unknown', reason: 'CoreApiNotListed', message: 'the pods of the Core API are not listed yet' };
    }
    const { covered, reason, message, gaps } = decideCoverage(facts, (scope) => projects.mayConcern(scope, projectId));
    const sent = findSent(facts);
    const live = facts.reports.filter(({ report, storedTime }) => !report.goodbye && facts.now - storedTime <= fresh);
    return {
      kind: 'observed',
      covered,
      reason,
      message,
      gaps: [...gaps.map(toFact), ...losses.list().map(lossGap)],
      speaking: live.filter(({ report }) => isItself(report, facts.pods)).map(({ report }) => report.podName),
      allSentUntil: sent.until,
      laggard: sent.laggard,
    };
  }

  function appliers(): number | undefined {
    if (read === undefined || !isFresh()) return undefined;
    return reported.countApplying(now() - fresh);
  }

  function instances(): Instances | undefined {
    if (read === undefined || !isFresh()) return undefined;
    const facts = describeCoverage(read.sidecars);
    if (facts === undefined) return undefined;
    return { coreApiPods: describePods(facts), appliers: reported.listAlive(now() - fresh) };
  }

  function replay(projectId: number): ReplayFact {
    if (read === undefined || !isFresh()) return unknown();
    const { transit } = read;
    const { project, ...said } = reported.replay(projectId, now() - fresh);
    const unstorable = sightings.join(projectId, transit.unstorable(projectId));
    return {
      kind: 'observed',
      ...said,
      takenUntil: taken.until(),
      underWay: transit.underWay(projectId),
      project: {
        ...project,
        parked: transit.parked(projectId),
        failed: transit.failed(projectId),
        unresolved: transit.failed(0),
        excess: transit.excess(projectId),
        unstorable,
      },
    };
  }

  return {
    capture,
    replay,
    usage: (projectId) => (isFresh() ? usage.project(projectId) : undefined),
    appliers,
    instances,
    now: store.now,
    clocks: () => (isFresh() ? (read?.clocks ?? []) : []),
    async run(signal) {
      const onFailure = (error: unknown) => {
        problem = errorMessage(error);
      };
      const options = { name: 'edge-migration-operator', role: 'operator', clock, signal, onFailure } as const;
      const connection = await connectNats(settings.nats, options).catch(() => undefined);
      while (connection !== undefined && !signal.aborted) {
        try {
          const manager = await jetstreamManager(connection);
          await ensureStreams(manager, settings.nats);
          await refresh(manager, jetstream(connection), signal);
        } catch (error) {
          if (problem !== errorMessage(error))
            logger.warn({ error: errorMessage(error) }, 'the streams cannot be read');
          onFailure(error);
        }
        await clock.sleep(STREAM_LOOK_MS, signal).catch(() => {});
      }
      await followingUsage;
      await connection?.close();
    },
  };
}

const toFact = ({ from, until, reason, podName }: SidecarGap): CoverageGapFact => ({
  from: Date.parse(from),
  until: until === null ? undefined : Date.parse(until),
  reason,
  podName,
});

/** Whose events they were is not known any more. */
const lossGap = ({ from, until }: Loss): CoverageGapFact => ({ from, until, reason: 'streamLost', podName: undefined });

/** A name counts only as that of its own pod, or of none that Kubernetes has. */
function isItself({ podUid, podName }: CoverageReport, pods: readonly CoreApiPod[]): boolean {
  return pods.every(({ uid, name }) => (uid === podUid) === (name === podName));
}
