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
  /** By the clock of NATS where there is one, so that all replicas agree. */
  now: number;
  migration: EdgeMigration;
  /** `<namespace>/<name>` of an older EdgeMigration of the same project. */
  olderDuplicate: string | undefined;
  /** Only read while the answer matters: `unread` otherwise. */
  core: CoreFact;
  edge: EdgeFact;
  capture: CaptureFact;
  replay: ReplayFact;
  work: WorkFacts;
  /** Whether Edge can serve the project; undefined where no table is configured that shows it. */
  readiness?: ReadinessFact | undefined;
  /** A pod of the Core API that itself forwards requests of projects on Edge. */
  forwardingPod?: string | undefined;
  /** The Core API's pods have not been listed since this process began: no pod is known to forward, and any may. */
  corePodsUnknown?: boolean;
  /** Undefined where no project metadata table is configured. */
  marks?: MarksFact | undefined;
  /** Undefined where it is switched off, and where nothing shows what Edge lacks. */
  handover?: HandoverFact | undefined;
  /** The current or last comparison. */
  verification?: VerificationFacts | undefined;
  /** Who calls Core for the project, as counted by the sidecars; undefined while that cannot be read. */
  usage?: UsageFact | undefined;
  /** The stored part of the status; see record.ts. */
  record?: StatusRecord | undefined;
  /** Milliseconds by which Core's clock is ahead of {@link now}, or less; undefined while that is not known. */
  coreAhead?: number | undefined;
  /** The regions of Edge's tables; undefined until they are known. */
  replication?: EdgeStatus | undefined;
  /** The clocks of the processes that can be asked. */
  clocks?: readonly ClockFact[];
  /** The Job that is under way, be it a plan's, a copy's or a comparison's. */
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
   * A comparison that begins sooner after a gap may miss a request of the gap that Core was still working on, whose
   * event, if there were one, would still be handled.
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

/** Whether sidecars see Core's identity writes. */
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
      /** Pods whose sidecars currently report. */
      speaking: string[];
      /** Every sidecar that is not gone has sent all that it saw before this; undefined when one does not report it. */
      allSentUntil: number | undefined;
      /** The pod whose sidecar is furthest behind with that, and the reason in words. */
      laggard?: string | undefined;
    };

export interface CoverageGapFact {
  from: number;
  until: number | undefined;
  reason: string;
  /** The sidecar's pod; undefined when the gap is about all. */
  podName: string | undefined;
}

/** What the appliers report. */
export type ReplayFact =
  | { kind: 'disabled' }
  | { kind: 'unknown'; reason: string; message: string }
  | {
      kind: 'observed';
      /** Appliers that reported recently and may apply. */
      appliers: number;
      /** A store's last error, as reported by an applier. */
      outage: string | undefined;
      /** Since when none of them has reached Edge's region, milliseconds since the epoch. */
      edgeUnreachableSince?: number | undefined;
      /** The longest-standing of the appliers that write Edge in another region than the home region. */
      away?: AwayFact | undefined;
      /**
       * Every event observed before this has been taken from the stream: applied, dropped, parked, or made into others,
       * which {@link underWay} counts. Undefined when that is not known.
       */
      takenUntil: number | undefined;
      /** Derived events of the project that still exist, or soon will; undefined when that is not known. */
      underWay: number | undefined;
      /**
       * Every event observed before this has reached its end, but for those that are parked until something is done about
       * them. Undefined when that is not known.
       */
      settledUntil: number | undefined;
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
  /** How many appliers write there, of those that may apply. */
  readonly appliers: number;
}

export type ObservedReplay = Extract<ReplayFact, { kind: 'observed' }>;

export interface ProjectReplay {
  applied: number;
  unchanged: number;
  dropped: number;
  /** Parked events that wait until something is done about them. */
  parked: number;
  /** The parked events that failed repeatedly. */
  failed: readonly WaitingEvents[];
  /** Events that are unreadable or whose project is unknown; not counted among the others. */
  unresolved: readonly WaitingEvents[];
  /** Starts of minutes whose events, perhaps of the project, found no room for parking. */
  excess: readonly number[];
  /** Identities that Edge cannot hold, or not completely. */
  unstorable: readonly UnstorableIdentity[];
  /** When the oldest event in flight was observed. */
  oldestObservedTime: number | undefined;
  lastAppliedTime: number | undefined;
}

/** Parked events whose requests began in the same minute. */
export interface WaitingEvents {
  /** Start of the minute; undefined for events parked by an older release. */
  from: number | undefined;
  /** It is unknown when they began: they arrived in that minute. */
  isUnreadable: boolean;
  events: number;
}

/** What exists in the cluster of some work on the ranges of this very EdgeMigration (by uid). */
export interface RangeWorkFacts<Checkpoint, Settings> {
  /** The planned ranges, once they are stored. */
  ranges: PlannedRange[] | undefined;
  jobs: JobFact[];
  checkpoints: Checkpoint[];
  /** Pods that cannot start or have failed, newest first. */
  podProblems: PodProblem[];
  /** The settings that running pods read. */
  liveSettings: Settings | undefined;
}

/** The current operation's work, plan or copy. */
export interface WorkFacts extends RangeWorkFacts<CheckpointFact, LiveSettings> {
  /** When the ranges were planned: no page was read earlier. */
  plannedTime: number | undefined;
  /** Since when this process has seen planned ranges without pods that work on them; see idle-times.ts. */
  idleSince: number | undefined;
  /** When pods of a previous EdgeMigration or plan may last have written; see former-work.ts. */
  formerSeen?: number;
  /** Whether parts of the plan are still there although the project is now to be copied. */
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
  /** Reason and message of the Job's condition `Failed`. */
  failure: string | undefined;
  /** It is removed as soon as its pods are gone. */
  deleting: boolean;
  /** How many run, by the Job controller's count, and how many should. */
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
  /** For a plan: write units in every region, by region, table and index. */
  plannedUnits: WriteUnits;
  lastError: string | undefined;
  /** Table that has the override rows of the whole range. */
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

/** Problems with the pods of a Job as a whole. Times are when this process first saw them, by its own clock. */
export interface JobPodsFact {
  /** Pods that it should have but does not. */
  missing: MissingPods | undefined;
  /** Set when all live pods have finished workers; names what keeps them from ending, `istio-proxy of pod …`. */
  stranded: { containers: string[]; since: number } | undefined;
}

interface MissingPods {
  running: number;
  wanted: number;
  since: number;
  /** Why the API server refused the last pod. */
  refusal: string | undefined;
  /** Why it is not known whether it did. */
  unread?: string;
}

export interface PodProblem {
  pod: string;
  reason: string;
  message: string;
}

/** Settings that each pod of a running copy follows live. */
export interface LiveSettings {
  pageSize: number;
  maxWriteUnitsPerSecond: number;
  onConflict: 'KeepEdge' | 'CoreWins';
}
