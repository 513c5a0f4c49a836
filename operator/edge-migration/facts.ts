import type { EdgeMigration, EdgeStatus } from '@edge-migration/contract/edge-migration/api.ts';
import type { UnstorableIdentity } from '@edge-migration/contract/parked-place.ts';
import type { WriteUnits } from '../copy/write-units.ts';
import type { VerifyCheckpoint } from '../verify/checkpoint.ts';
import type { VerifySettings } from '../verify/settings.ts';
import type { ClockFact } from './clock-skew.ts';
import type { HandoverFact, MarksFact, ReadinessFact } from './readiness/facts.ts';
import type { StatusRecord } from './record.ts';
import type { UsageFact } from './usage/days.ts';

/**
 * Everything that a decision about one EdgeMigration may depend on, gathered by observe.ts. Plain data: times are
 * milliseconds since the epoch, and nothing in here is a client or a promise.
 */
export interface Facts {
  /** By the clock of NATS where there is one, so that it is the same for every replica. */
  now: number;
  migration: EdgeMigration;
  /** `<namespace>/<name>` of an older EdgeMigration of the same project. */
  olderDuplicate: string | undefined;
  /** Only looked at while the answer matters: `unread` otherwise. */
  core: CoreFact;
  edge: EdgeFact;
  capture: CaptureFact;
  replay: ReplayFact;
  work: WorkFacts;
  /** Whether Edge can serve the project; undefined where no table is configured that could tell. */
  readiness?: ReadinessFact | undefined;
  /** A pod of the Core API that forwards requests of projects on Edge by itself. */
  forwardingPod?: string | undefined;
  /** The Core API's pods have not been listed since this process began: none is known to forward, and any may. */
  corePodsUnknown?: boolean;
  /** Undefined where no project metadata table is configured. */
  marks?: MarksFact | undefined;
  /** Undefined where it is switched off, and where nothing tells what Edge lacks. */
  handover?: HandoverFact | undefined;
  /** Of the comparison that is under way, or was last. */
  verification?: VerificationFacts | undefined;
  /** Who calls Core for the project, as the sidecars count; undefined while that cannot be read. */
  usage?: UsageFact | undefined;
  /** What was kept of the status; see record.ts. */
  record?: StatusRecord | undefined;
  /** Milliseconds that Core's clock is ahead of {@link now}, or less; undefined while that is not known. */
  coreAhead?: number | undefined;
  /** In which regions Edge's tables are; undefined until that is known. */
  replication?: EdgeStatus | undefined;
  /** Of the processes that can be asked. */
  clocks?: readonly ClockFact[];
  /** Of the Job that is under way, be it a plan's, a copy's or a comparison's. */
  jobPods?: JobPodsFact | undefined;
  settings: DecisionSettings;
}

export interface DecisionSettings {
  /** A page may be written this long after it was read; nothing is complete until it has passed (rule 4). */
  pageMaxAgeMs: number;
  /** A write may be carried out this long after its sender has gone (rule 9). */
  lateWriteMs: number;
  /** Table of override rows; undefined where none is configured. */
  overridesTable?: string | undefined;
  /**
   * What a comparison that begins sooner after a gap has not seen: a request of the gap that Core was still working on,
   * whose event, if there were one, would be handled once more then.
   */
  gapSettlesMs: number;
  /** Price of a million on-demand write units. */
  pricePerMillionWriteUnits: number;
}

export type CoreFact =
  | { kind: 'unread' }
  | { kind: 'found'; environments: number }
  | { kind: 'missing' }
  | { kind: 'deleted' }
  | { kind: 'problem'; reason: string; message: string };

export type EdgeFact = { kind: 'unread' } | { kind: 'ready' } | { kind: 'problem'; reason: string; message: string };

/** Whether the identity writes of Core are seen by sidecars. */
export type CaptureFact =
  | { kind: 'disabled' }
  /** The sidecars' reports cannot be read. */
  | { kind: 'unknown'; reason: string; message: string }
  | {
      kind: 'observed';
      covered: boolean;
      reason: string;
      message: string;
      /** Times in which writes may be in no event; until is undefined while it lasts. */
      gaps: CoverageGapFact[];
      /** Pods whose sidecars report now. */
      speaking: string[];
      /** Every sidecar that is not gone has sent all that it saw before this; undefined when one of them cannot tell. */
      allSentUntil: number | undefined;
      /** The pod whose sidecar is furthest behind with that, and why, in words. */
      laggard?: string | undefined;
    };

export interface CoverageGapFact {
  from: number;
  until: number | undefined;
  reason: string;
  /** Of the sidecar; undefined when it is about all. */
  podName: string | undefined;
}

/** What the appliers say. */
export type ReplayFact =
  | { kind: 'disabled' }
  | { kind: 'unknown'; reason: string; message: string }
  | {
      kind: 'observed';
      /** Appliers that reported a moment ago and may apply. */
      appliers: number;
      /** A store's last error, as an applier tells it. */
      outage: string | undefined;
      /** Since when none of them has reached Edge's region, milliseconds since the epoch. */
      edgeUnreachableSince?: number | undefined;
      /** Of those that write Edge in another region than the home region, the one that has done so longest. */
      away?: AwayFact | undefined;
      /**
       * Every event that was observed before this has been taken from the stream: applied, dropped, put aside, or made
       * into others, which {@link underWay} counts. Undefined when that is not known.
       */
      takenUntil: number | undefined;
      /** Events of the project that were derived, or soon will be; undefined when that is not known. */
      underWay: number | undefined;
      project: ProjectReplay;
    };
export interface AwayFact {
  /** In alphabetical order: each applier chooses for itself. */
  readonly regions: readonly string[];
  readonly home: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** Why, in words. */
  readonly reason: string;
  /** How many appliers do, of those that may apply. */
  readonly appliers: number;
}

export type ObservedReplay = Extract<ReplayFact, { kind: 'observed' }>;

export interface ProjectReplay {
  applied: number;
  unchanged: number;
  dropped: number;
  /** Events that wait aside until something is done about it. */
  parked: number;
  /** Of these, the ones that failed again and again. */
  failed: readonly WaitingEvents[];
  /** Events of which nobody can tell the project, or that cannot be read; not counted among the others. */
  unresolved: readonly WaitingEvents[];
  /** Starts of minutes of which events, perhaps of the project, had no room aside. */
  excess: readonly number[];
  /** Identities that Edge cannot hold, or not as a whole. */
  unstorable: readonly UnstorableIdentity[];
  /** When the oldest event in hand was observed. */
  oldestObservedTime: number | undefined;
  lastAppliedTime: number | undefined;
}

/** Events that wait aside and whose requests began in the same minute. */
export interface WaitingEvents {
  /** Start of the minute; undefined of events that an older release has put aside. */
  from: number | undefined;
  /** Nobody can tell when they began: they came in that minute. */
  isUnreadable: boolean;
  events: number;
}

/** What exists in the cluster of some work on ranges of this very EdgeMigration (by uid). */
export interface RangeWorkFacts<Checkpoint, Settings> {
  /** The planned ranges, once they are written down. */
  ranges: PlannedRange[] | undefined;
  jobs: JobFact[];
  checkpoints: Checkpoint[];
  /** Pods that cannot start or have failed, newest first. */
  podProblems: PodProblem[];
  /** The settings that running pods read. */
  liveSettings: Settings | undefined;
}

/** Of the operation at hand, plan or copy. */
export interface WorkFacts extends RangeWorkFacts<CheckpointFact, LiveSettings> {
  /** When the ranges were planned: no page was read before. */
  plannedTime: number | undefined;
  /** Since when this process has seen that ranges are planned and no pods work on them; see idle-times.ts. */
  idleSince: number | undefined;
  /** When pods of an EdgeMigration or a plan before may last have written; see former-work.ts. */
  formerSeen?: number;
  /** Whether something of the plan is still there although the project is to be copied by now. */
  planIsLeft: boolean;
}

export type VerificationFacts = RangeWorkFacts<VerifyCheckpoint, VerifySettings>;

export interface PlannedRange {
  rangeId: number;
  identities: number;
}

export interface JobFact {
  name: string;
  uid: string;
  attempt: number;
  /** Index -> range id. */
  rangeIds: number[];
  suspended: boolean;
  parallelism: number;
  outcome: 'active' | 'complete' | 'failed';
  completedIndexes: number[];
  failedIndexes: number[];
  /** Reason and message of the Failed condition. */
  failure: string | undefined;
  /** It goes as soon as its pods have gone. */
  deleting: boolean;
  /** That run, by the Job controller's count, and that should. */
  pods: { running: number; wanted: number };
  /** Set once the outcome is in the status: Kubernetes may then remove the Job. */
  ttlSeconds: number | undefined;
}

export interface CheckpointFact {
  rangeId: number;
  finished: boolean;
  updatedTime: number;
  identitiesPerSecond: number;
  counts: CopyCounts;
  skippedByReason: Record<string, number>;
  /** Of a plan: write units in every region, by region, table and index. */
  plannedUnits: WriteUnits;
  lastError: string | undefined;
  /** Table that has the override rows of everything in the range. */
  overridesTable?: string | undefined;
}

export interface CopyCounts {
  pages: number;
  read: number;
  inserted: number;
  unchanged: number;
  kept: number;
  merged: number;
  replaced: number;
  skipped: number;
  differing: number;
  edgeBorn: number;
  documentBytes: number;
  writeUnits: number;
  throttled: number;
}

/** What is amiss with the pods of a Job as a whole. Times are when this process saw it first, by its own clock. */
export interface JobPodsFact {
  /** Pods that it should have and has not. */
  missing: MissingPods | undefined;
  /** All pods that live have workers that have ended; what keeps them from ending, `istio-proxy of pod …`. */
  stranded: { containers: string[]; since: number } | undefined;
}

interface MissingPods {
  running: number;
  wanted: number;
  since: number;
  /** Why the API server refused the last one. */
  refusal: string | undefined;
  /** Why it is not known whether it did. */
  unread?: string;
}

export interface PodProblem {
  pod: string;
  reason: string;
  message: string;
}

/** What pods of a running copy follow live, each for itself. */
export interface LiveSettings {
  pageSize: number;
  maxWriteUnitsPerSecond: number;
  onConflict: 'KeepEdge' | 'CoreWins';
}
