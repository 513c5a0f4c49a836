import {
  type ApplierReport,
  decodeReport,
  type ProjectReport,
  type StreamReport,
} from '@edge-migration/contract/reports/applier.ts';
import { decodeRemovals } from '@edge-migration/contract/reports/removals.ts';
import { REPORT_STREAM } from '@edge-migration/contract/streams/applier.ts';
import { findStream, readStored } from '@edge-migration/contract/streams/events.ts';
import type { JetStreamManager, StoredMsg } from '@nats-io/jetstream';
import type { AwayFact, ObservedReplay } from './facts.ts';
import type { ApplierEvidence } from './losses.ts';
import type { RemovalFact, RemovalObservation } from './removals.ts';

/** What the edge appliers report about themselves, as last read. */
export interface Appliers {
  /** Reads new reports. @throws the NATS client's errors */
  refresh(manager: JetStreamManager): Promise<void>;
  /** @param since appliers whose reports were stored later are alive; epoch milliseconds by the stream's clock */
  replay(projectId: number, since: number): AppliersFact;
  /** What they report about the stream of events, including appliers that are gone. */
  evidence(): readonly ApplierEvidence[];
  /** What they report to have removed from the parking stream. */
  removals(since: number): Pick<RemovalObservation, 'told' | 'isComplete'>;
  /** How many are alive and may apply. */
  countApplying(since: number): number;
  /** Those that are alive, with their clocks according to their last reports. */
  listAlive(since: number): readonly LivingApplier[];
}

export interface LivingApplier {
  readonly process: string;
  readonly instance: string;
  /** Undefined in reports of releases that do not send it. */
  readonly release: string | undefined;
  /** Whether it may apply, and why it does not although it may. */
  readonly applying: boolean;
  readonly outage: string | null;
  readonly sequence: number;
  readonly ahead: number;
}

/** What they alone know of a project. */
interface AppliersFact extends Pick<ObservedReplay, 'appliers' | 'outage' | 'edgeUnreachableSince' | 'away'> {
  project: Omit<ObservedReplay['project'], 'parked' | 'failed' | 'unresolved' | 'excess' | 'unstorable'>;
}

interface Stored {
  readonly report: ApplierReport;
  readonly sequence: number;
  /** When the stream stored it, epoch milliseconds: the applier's clock may be wrong. */
  readonly time: number;
  /** Milliseconds by which the applier's clock was ahead of the stream's, at least. */
  readonly ahead: number;
  readonly projects: ReadonlyMap<number, ProjectReport>;
}

/** Follows the last report of every applier process, including dead ones: their counters are part of the total. */
export function createAppliers(): Appliers {
  /** By process. */
  let stored = new Map<string, Stored>();
  let removals = new Map<string, RemovalFact>();
  /** Which stream was read, and how far. */
  let read = { created: '', sequence: 0 };

  const findAlive = (since: number) =>
    [...stored.values()].filter(({ report, time }) => !report.goodbye && time >= since);

  return {
    async refresh(manager) {
      // None while no applier has ever run.
      const stream = await findStream(manager, REPORT_STREAM);
      const { created = '', state } = stream ?? {};
      // Another stream, or one restored from a backup.
      if (created !== read.created || (state?.last_seq ?? 0) < read.sequence) {
        stored = new Map();
        removals = new Map();
        read = { created, sequence: 0 };
      }
      if (stream === undefined) return;
      for await (const message of readStored(manager, REPORT_STREAM, { from: read.sequence + 1 })) {
        read.sequence = message.seq;
        const report = decodeReport(message);
        if (report !== undefined) stored.set(report.process, describe(report, message));
        const told = decodeRemovals(message);
        if (told !== undefined) removals.set(told.process, { ...told, time: message.time.getTime() });
      }
    },
    listAlive: (since) =>
      findAlive(since).map(({ report: { process, instance, release, outage, confirmed }, sequence, ahead }) => {
        return { process, instance, release, outage, applying: confirmed, sequence, ahead };
      }),
    evidence: () => [...stored.values()].flatMap(({ report }) => (report.streams ?? []).map(describeStream)),
    removals: (since) => ({
      told: [...removals.values()],
      isComplete: [...stored.values()].every(({ report, time }) => time < since || report.tellsRemovals === true),
    }),
    countApplying: (since) => findAlive(since).filter(({ report }) => report.confirmed).length,
    replay(projectId, since) {
      const alive = findAlive(since);
      return {
        appliers: alive.filter(({ report }) => report.confirmed).length,
        outage: alive.find(({ report }) => report.outage !== null)?.report.outage ?? undefined,
        edgeUnreachableSince: findSilence(alive),
        away: findAway(alive),
        project: sumProject([...stored.values()], alive, projectId),
      };
    },
  };
}

const MOST_UNDER_WAY_MS = 5_000;

/** Since when none of them has reached Edge, by the stream's clock; undefined when one has, or may have. */
function findSilence(alive: readonly Stored[]): number | undefined {
  const times = alive.map(({ report: { edgeUnreachableSince: since }, ahead }) => {
    return since === undefined ? Number.NaN : byStream(since, ahead);
  });
  const latest = Math.max(...times);
  return Number.isFinite(latest) ? latest : undefined;
}

/** A message under way looks like a clock that is slightly behind, by a different amount each time. */
function byStream(time: string, ahead: number): number {
  return Date.parse(time) - (Math.abs(ahead) < MOST_UNDER_WAY_MS ? 0 : ahead);
}

/** An applier that may not apply writes nowhere. */
function findAway(alive: readonly Stored[]): AwayFact | undefined {
  const all = alive.flatMap(({ report: { away, confirmed }, ahead }) =>
    away === undefined || !confirmed ? [] : [{ ...away, since: byStream(away.since, ahead) }],
  );
  const [longest] = all.toSorted((one, other) => one.since - other.since);
  if (longest === undefined) return undefined;
  const { home, since, reason } = longest;
  const regions = [...new Set(all.map(({ region }) => region))].toSorted();
  return { regions, home, since, reason, appliers: all.length };
}

function describe(report: ApplierReport, { seq, time }: StoredMsg): Stored {
  const projects = new Map(report.projects.map((project) => [project.projectId, project]));
  const storedTime = time.getTime();
  return { report, sequence: seq, time: storedTime, ahead: Date.parse(report.time) - storedTime, projects };
}

function describeStream({ stream, created, places, losses }: StreamReport): ApplierEvidence {
  return {
    stream,
    created,
    places: places.map(({ sequence, time }) => ({ sequence, time: Date.parse(time) })),
    losses: losses.map(({ from, until }) => ({ from: Date.parse(from), until: Date.parse(until) })),
  };
}

/** Counters are totals over all processes that ever ran; events in flight count only for living ones. */
function sumProject(all: readonly Stored[], alive: readonly Stored[], projectId: number): AppliersFact['project'] {
  const of = (reports: readonly Stored[]) => reports.flatMap(({ projects }) => projects.get(projectId) ?? []);
  const total = (counts: Record<string, number>) => Object.values(counts).reduce((sum, count) => sum + count, 0);
  const times = (values: (string | null)[]) =>
    values.filter((value) => value !== null).map((value) => Date.parse(value));
  const totals = of(all);
  const oldest = times(of(alive).map(({ oldestObservedTime }) => oldestObservedTime));
  const last = times(totals.map(({ lastAppliedTime }) => lastAppliedTime));
  return {
    applied: totals.reduce((sum, { applied }) => sum + total(applied), 0),
    unchanged: totals.reduce((sum, { applied }) => sum + (applied['unchanged'] ?? 0), 0),
    dropped: totals.reduce((sum, { dropped }) => sum + total(dropped), 0),
    oldestObservedTime: oldest.length === 0 ? undefined : Math.min(...oldest),
    lastAppliedTime: last.length === 0 ? undefined : Math.max(...last),
  };
}
