import { type EdgeMigration, type Status, specSchema } from '@edge-migration/contract/edge-migration/api.ts';
import { decide } from '../decide.ts';
import type { CaptureFact, CheckpointFact, CopyCounts, Facts, JobFact, ObservedReplay } from '../facts.ts';
import type { ObservedReadiness } from '../readiness/facts.ts';

/** Noon, some day; every fact builder counts from here. */
export const NOON = Date.parse('2026-05-04T12:00:00Z');

export function migration(changes: Partial<EdgeMigration> = {}, spec: Record<string, unknown> = {}): EdgeMigration {
  return {
    namespace: 'customers',
    name: 'project-42',
    uid: '0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d',
    resourceVersion: '1',
    generation: 1,
    creationTime: '2026-05-04T11:59:00Z',
    deleting: false,
    // Comparisons have tests of their own.
    spec: specSchema.parse({ projectId: 42, verify: { afterCopy: 'Never', atDeadline: 'Never' }, ...spec }),
    specProblem: undefined,
    status: {},
    ...changes,
  };
}

export function facts(changes: Partial<Facts> = {}): Facts {
  return {
    now: NOON,
    migration: migration(),
    olderDuplicate: undefined,
    core: { kind: 'found', environments: 2 },
    edge: { kind: 'ready' },
    capture: { kind: 'disabled' },
    replay: { kind: 'disabled' },
    coreAhead: 0,
    work: work(),
    settings: {
      pageMaxAgeMs: 30_000,
      lateWriteMs: 65_000,
      gapSettlesMs: 65_000,
      pricePerMillionWriteUnits: 0.625,
    },
    ...changes,
  };
}

export function work(changes: Partial<Facts['work']> = {}): Facts['work'] {
  return {
    ranges: undefined,
    plannedTime: undefined,
    jobs: [],
    idleSince: NOON,
    checkpoints: [],
    podProblems: [],
    planIsLeft: false,
    liveSettings: { pageSize: 1000, maxWriteUnitsPerSecond: 2000, onConflict: 'KeepEdge' },
    ...changes,
  };
}

/** Two ranges of 500 identities each. */
export const twoRanges = [
  { rangeId: 0, identities: 500 },
  { rangeId: 1, identities: 500 },
];

export function job(changes: Partial<JobFact> = {}): JobFact {
  return {
    name: 'project-42-0a1b2c3d-copy-1',
    uid: 'job-uid',
    attempt: 1,
    rangeIds: [0, 1],
    suspended: false,
    parallelism: 4,
    outcome: 'active',
    completedIndexes: [],
    failedIndexes: [],
    failure: undefined,
    ttlSeconds: undefined,
    deleting: false,
    pods: { running: 2, wanted: 2 },
    ...changes,
  };
}

export function checkpoint(
  rangeId: number,
  counts: Partial<CopyCounts>,
  changes: Partial<CheckpointFact> = {},
): CheckpointFact {
  return {
    rangeId,
    finished: false,
    updatedTime: NOON,
    identitiesPerSecond: 100,
    skippedByReason: {},
    plannedUnits: {},
    lastError: undefined,
    counts: {
      pages: 1,
      read: 0,
      inserted: 0,
      unchanged: 0,
      kept: 0,
      merged: 0,
      replaced: 0,
      skipped: 0,
      differing: 0,
      edgeBorn: 0,
      documentBytes: 0,
      writeUnits: 0,
      throttled: 0,
      ...counts,
    },
    ...changes,
  };
}

/** Both of {@link twoRanges}, done by noon. */
export const endedJob = job({ outcome: 'complete', completedIndexes: [0, 1] });

/** What exists when both are copied. */
export function copiedWork(): Facts['work'] {
  const checkpoints = [0, 1].map((rangeId) => checkpoint(rangeId, { read: 500, inserted: 500 }, { finished: true }));
  return work({ ranges: twoRanges, jobs: [endedJob], checkpoints });
}

/** Every Core API pod has its sidecar. */
export const covered = (changes: Partial<Extract<CaptureFact, { kind: 'observed' }>> = {}): CaptureFact => ({
  kind: 'observed',
  covered: true,
  reason: 'AllCovered',
  message: 'all 2 Core API instances have a live sidecar',
  gaps: [],
  speaking: ['api-1'],
  allSentUntil: NOON,
  ...changes,
});

/** Two appliers, and nothing waits. */
export const following = (changes: Partial<ObservedReplay> = {}): ObservedReplay => ({
  kind: 'observed',
  appliers: 2,
  outage: undefined,
  takenUntil: NOON,
  underWay: 0,
  settledUntil: NOON,
  project: {
    applied: 10,
    unchanged: 4,
    dropped: 0,
    parked: 0,
    failed: [],
    unresolved: [],
    excess: [],
    unstorable: [],
    oldestObservedTime: undefined,
    lastAppliedTime: NOON,
  },
  ...changes,
});

/** Edge has all of two environments and a server key, and Core's switch is on, except for the changes. */
export const edgeReady = (changes: Partial<ObservedReadiness> = {}): ObservedReadiness => ({
  kind: 'observed',
  enabled: true,
  keepsMeta: true,
  overridesCounted: true,
  environments: 2,
  serverKeys: 1,
  missing: { documents: [], serverKeys: [], metaRows: [] },
  tables: { environments: 'environments', serverKeys: 'server-keys', environmentsV2: 'environments-v2' },
  nextTime: NOON + 60_000,
  ...changes,
});

/** The facts of the next pass: the status of the last decision recorded, time moved on, and whatever else changed. */
export function next(before: Facts, milliseconds: number, changes: Partial<Facts> = {}): Facts {
  const { status } = decide(before);
  return { ...before, now: before.now + milliseconds, migration: { ...before.migration, status }, ...changes };
}

/** The condition in short: `Copied=False/Copying`. */
export function condition(status: Status, type: string): string {
  const found = status.conditions?.find((candidate) => candidate.type === type);
  return found === undefined ? 'absent' : `${found.status}/${found.reason}`;
}

/** The facts of a migration whose first visit is over. */
export const visitedFacts = (changes: Partial<Facts> = {}): Facts => next(facts(changes), 0);
