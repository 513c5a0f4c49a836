import type { Clock } from '@edge-migration/identity/clock.ts';
import type { Logger } from '@edge-migration/identity/logger.ts';
import {
  type CoreApiPod,
  type CoverageFacts,
  closeVanished,
  decideCoverage,
  type StoredReport,
} from '@edge-migration/replay-sidecar/capture/coverage/decide.ts';
import { readReports } from '@edge-migration/replay-sidecar/capture/coverage/read.ts';
import type { CoverageReport } from '@edge-migration/replay-sidecar/capture/coverage/report.ts';
import { findSent } from '@edge-migration/replay-sidecar/capture/coverage/sent.ts';
import { connectNats, type NatsSettings } from '@edge-migration/replay-sidecar/nats.ts';
import { ensureStreams, type StreamSettings } from '@edge-migration/replay-sidecar/stream.ts';
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { errorMessage } from '../kubernetes/errors.ts';
import { createAppliers } from './appliers.ts';
import type { CaptureFact, ReplayFact } from './facts.ts';
import { createGapProjects, type ReadProjects } from './gap-projects.ts';
import { sayGoodbyeFor } from './goodbye.ts';
import { createSightings } from './sightings.ts';
import { createTakenTracker } from './taken.ts';
import { readTransit, type Transit } from './transit.ts';

/** What sidecars and appliers say, as far as it is known now. */
export interface StreamView {
  /** @param projectId leaves out the gaps that are not about this project; all when left out */
  capture(projectId?: number): CaptureFact;
  replay(projectId: number): ReplayFact;
  /** How many appliers reported a moment ago and may apply; undefined when that is not known. */
  appliers(): number | undefined;
  /** Follows the reports until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export interface StreamViewSettings {
  nats: NatsSettings & StreamSettings;
  /** The Core API's pods, from a cache; undefined until they are listed. */
  pods: () => CoreApiPod[] | undefined;
  /** Sidecars in front of Core APIs outside Kubernetes. */
  staticCount: number;
  freshSeconds: number;
  /** The projects of what gaps name; as readScopeProjects. */
  readProjects: ReadProjects;
  clock: Clock;
  logger: Logger;
}

const EVERY_MILLISECONDS = 2_000;

/** For an installation without capture. */
export const noStream: StreamView = {
  capture: () => ({ kind: 'disabled' }),
  replay: () => ({ kind: 'disabled' }),
  appliers: () => undefined,
  run: async () => {},
};

/** Reads the reports every few seconds into memory, so that a decision never waits for NATS. */
export function createStreamView(settings: StreamViewSettings): StreamView {
  const { clock, logger, freshSeconds } = settings;
  const fresh = freshSeconds * 1000;
  let read: { time: number; sidecars: StoredReport[]; transit: Transit } | undefined;
  let problem = 'not connected to NATS yet';
  const reported = createAppliers();
  const taken = createTakenTracker();
  const sightings = createSightings(clock);
  const projects = createGapProjects(settings.readProjects, clock);

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
    return pods === undefined ? undefined : { pods, reports, now: clock.now(), freshMillis: fresh, staticCount };
  }

  async function refresh(manager: JetStreamManager, client: JetStreamClient, signal: AbortSignal) {
    const { reports, unreadable } = await readReports(manager);
    if (unreadable.length > 0) logger.warn({ count: unreadable.length }, 'coverage reports of another release');
    await reported.refresh(manager);
    await projects.follow(reports, signal);
    const facts = describeCoverage(reports);
    // What the sidecars had sent is in the stream by now.
    const transit = await readTransit(manager);
    read = { time: clock.monotonic(), sidecars: reports, transit };
    if (facts !== undefined) taken.notice({ ...transit, sentUntil: findSent(facts).until });
    for (const closed of facts === undefined ? [] : closeVanished(facts)) {
      logger.warn({ pod: closed.report.podName }, 'a sidecar or its spool has gone without a goodbye: noted its gap');
      await sayGoodbyeFor(client, closed);
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
      gaps: gaps.map(({ from, until, reason: why, podName }) => ({
        from: Date.parse(from),
        until: until === null ? undefined : Date.parse(until),
        reason: why,
        podName,
      })),
      speaking: live.filter(({ report }) => isItself(report, facts.pods)).map(({ report }) => report.podName),
      allSentUntil: sent.until,
      laggard: sent.laggard,
    };
  }

  function appliers(): number | undefined {
    if (read === undefined || !isFresh()) return undefined;
    return reported.countApplying(clock.now() - fresh);
  }

  function replay(projectId: number): ReplayFact {
    if (read === undefined || !isFresh()) return unknown();
    const { transit } = read;
    const { project, ...said } = reported.replay(projectId, clock.now() - fresh);
    const unstorable = sightings.join(projectId, transit.unstorable(projectId));
    return {
      kind: 'observed',
      ...said,
      takenUntil: taken.until(),
      underWay: transit.underWay(projectId),
      project: { ...project, parked: transit.parked(projectId), unstorable },
    };
  }

  return {
    capture,
    replay,
    appliers,
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
        await clock.sleep(EVERY_MILLISECONDS, signal).catch(() => {});
      }
      await connection?.close();
    },
  };
}

/** A name counts only as that of its own pod, or of none that Kubernetes has. */
function isItself({ podUid, podName }: CoverageReport, pods: readonly CoreApiPod[]): boolean {
  return pods.every(({ uid, name }) => (uid === podUid) === (name === podName));
}
