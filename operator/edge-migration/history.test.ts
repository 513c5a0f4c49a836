import { type GapStatus, type Spec, type Status, specSchema } from '@edge-migration/contract/edge-migration/api.ts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Action } from './actions.ts';
import { CONDITION_TYPES, type ConditionType, REASONS } from './conditions.ts';
import { type Decision, decide } from './decide.ts';
import type { CaptureFact, CoreFact, Facts, JobFact, ReplayFact, WorkFacts } from './facts.ts';
import type { ReadinessFact } from './readiness/facts.ts';
import { restoreStatus } from './record.ts';
import {
  checkpoint,
  covered,
  edgeReady,
  facts,
  following,
  job,
  migration,
  NOON,
  twoRanges,
  work,
} from './testing/facts.ts';

/** What may happen to a migration between two passes. */
type Step =
  | { kind: 'wait'; seconds: number }
  | { kind: 'edit'; spec: Partial<Record<keyof Spec, unknown>> }
  | { kind: 'core'; core: CoreFact }
  | { kind: 'duplicate'; of: string | undefined }
  | { kind: 'capture'; capture: CaptureFact }
  | { kind: 'replay'; replay: ReplayFact }
  | { kind: 'readiness'; readiness: ReadinessFact | undefined }
  | { kind: 'job'; outcome: JobFact['outcome']; completed: number[]; problem: string }
  | { kind: 'vandalise'; what: 'jobs' | 'root' }
  | { kind: 'wipe' }
  | { kind: 'putBack'; statuses: number };

const text = fc.constantFrom('no answer', 'ä'.repeat(300), 'x'.repeat(3_000));
const seconds = fc.oneof(fc.nat(60), fc.nat(4_000_000));
const gap = fc.record({
  from: fc.integer({ min: 1_000_000_000, max: 1_900_000_000 }).map((time) => time * 1000),
  until: fc.option(fc.integer({ min: 1_900_000_001, max: 1_950_000_000 }), { nil: undefined }),
  reason: fc.constantFrom('spoolFull', 'sidecarVanished', 'noSidecar'),
  podName: fc.constantFrom('api-1', 'api-2', undefined),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), seconds }) },
  fc.record({
    kind: fc.constant('edit' as const),
    spec: fc.oneof(
      fc.boolean().map((suspend) => ({ suspend })),
      fc.constantFrom('a', 'b', 'c').map((retry) => ({ retry })),
      fc.nat(4_000_000).map((windowSeconds) => ({ replay: { windowSeconds } })),
      fc.integer({ min: 1, max: 64 }).map((parallelism) => ({ copy: { parallelism } })),
      fc.constant({ mode: 'Migrate' }),
    ),
  }),
  fc.record({
    kind: fc.constant('core' as const),
    core: fc.oneof(
      fc.constant<CoreFact>({ kind: 'found', environments: 1 }),
      fc.constant<CoreFact>({ kind: 'deleted' }),
      text.map((message): CoreFact => ({ kind: 'problem', reason: 'CoreUnreachable', message })),
    ),
  }),
  fc.record({ kind: fc.constant('duplicate' as const), of: fc.constantFrom(undefined, 'other/project-42') }),
  fc.record({
    kind: fc.constant('capture' as const),
    capture: fc.oneof(
      fc.constant<CaptureFact>({ kind: 'disabled' }),
      text.map((message): CaptureFact => ({ kind: 'unknown', reason: 'StreamUnreachable', message })),
      fc
        .record({
          covered: fc.boolean(),
          message: text,
          gaps: fc.array(gap, { maxLength: 40, size: 'max' }),
          late: fc.boolean(),
        })
        .map(({ late, ...changes }) => covered({ ...changes, allSentUntil: late ? undefined : 2_000_000_000_000 })),
    ),
  }),
  fc.record({
    kind: fc.constant('replay' as const),
    replay: fc.oneof(
      fc.constant<ReplayFact>({ kind: 'disabled' }),
      text.map((message): ReplayFact => ({ kind: 'unknown', reason: 'StreamUnreachable', message })),
      fc.nat(2).map((appliers) => following({ appliers, takenUntil: 2_000_000_000_000 })),
      text.map((outage) => following({ outage })),
    ),
  }),
  fc.record({
    kind: fc.constant('readiness' as const),
    readiness: fc.oneof(
      fc.constant(undefined),
      fc.constant<ReadinessFact>({ kind: 'unread' }),
      text.map((message): ReadinessFact => ({ kind: 'problem', reason: 'EdgeUnreachable', message, nextTime: NOON })),
      fc.constant(edgeReady()),
      text.map((name) => edgeReady({ missing: { documents: [{ id: 7, name }], serverKeys: [], metaRows: [] } })),
    ),
  }),
  fc.record({
    kind: fc.constant('job' as const),
    outcome: fc.constantFrom<JobFact['outcome'][]>('active', 'complete', 'complete', 'failed'),
    completed: fc.subarray([0, 1]),
    problem: text,
  }),
  fc.record({ kind: fc.constant('vandalise' as const), what: fc.constantFrom('jobs' as const, 'root' as const) }),
  fc.constant({ kind: 'wipe' as const }),
  fc.record({ kind: fc.constant('putBack' as const), statuses: fc.integer({ min: 1, max: 20 }) }),
);

const clean: WorkFacts = work({ liveSettings: undefined });

/** @param earlier statuses since the copy was complete, oldest first */
function apply(before: Facts, happened: Step, earlier: readonly Status[]): Facts {
  const withStatus = (status: Status) => restoreStatus({ ...before.migration, status }, before.record);
  switch (happened.kind) {
    case 'wait':
      return { ...before, now: before.now + happened.seconds * 1000 };
    case 'edit': {
      const { generation, spec } = before.migration;
      const changed = specSchema.parse({ ...spec, ...happened.spec });
      return { ...before, migration: { ...before.migration, generation: generation + 1, spec: changed } };
    }
    case 'core':
      return { ...before, core: happened.core };
    case 'duplicate':
      return { ...before, olderDuplicate: happened.of };
    case 'capture':
      return { ...before, capture: happened.capture };
    case 'replay':
      return { ...before, replay: happened.replay };
    case 'readiness':
      return { ...before, readiness: happened.readiness };
    case 'job':
      return { ...before, work: moveJob(before, happened) };
    case 'vandalise':
      return { ...before, work: happened.what === 'root' ? clean : { ...before.work, jobs: [] } };
    case 'wipe':
      return { ...before, migration: withStatus({}) };
    case 'putBack':
      return { ...before, migration: withStatus(earlier.at(-happened.statuses) ?? before.migration.status) };
  }
}

/** The newest Job goes on; ended ones stay unchanged. */
function moveJob({ work: before, now }: Facts, { outcome, completed, problem }: Extract<Step, { kind: 'job' }>) {
  const last = before.jobs.at(-1);
  if (last === undefined || last.outcome !== 'active' || last.suspended) return before;
  const indexes =
    outcome === 'complete' ? [...last.rangeIds.keys()] : completed.filter((i) => i < last.rangeIds.length);
  const moved: JobFact = {
    ...last,
    outcome,
    completedIndexes: indexes,
    failedIndexes: outcome === 'failed' ? [...last.rangeIds.keys()].filter((i) => !indexes.includes(i)) : [],
  };
  const checkpoints = indexes.map((i) =>
    checkpoint(
      last.rangeIds[i] ?? 0,
      { read: 500, skipped: 3 },
      { finished: true, updatedTime: now, skippedByReason: { [problem.slice(0, 60)]: 3 } },
    ),
  );
  const podProblems = [{ pod: 'p-1', reason: 'PodFailed', message: problem }];
  return {
    ...before,
    jobs: [...before.jobs.slice(0, -1), moved],
    idleSince: outcome === 'active' ? undefined : now,
    checkpoints: [...before.checkpoints, ...checkpoints],
    podProblems,
  };
}

/** The cluster after the action. */
function execute(before: Facts, action: Action): Facts {
  const { work: now } = before;
  if ('operation' in action && action.operation.startsWith('verify-')) return executeComparison(before, action);
  switch (action.kind) {
    case 'planRanges':
      return { ...before, work: { ...now, ranges: twoRanges, plannedTime: before.now } };
    case 'writeLiveSettings':
      return { ...before, work: { ...now, liveSettings: action.settings } };
    case 'createJob': {
      const { attempt, rangeIds, parallelism } = action;
      return {
        ...before,
        work: { ...now, jobs: [...now.jobs, job({ name: `copy-${attempt}`, attempt, rangeIds, parallelism })] },
      };
    }
    case 'adjustJob': {
      const { attempt, suspend: suspended, parallelism } = action;
      const jobs = now.jobs.map((each) => (each.attempt === attempt ? { ...each, suspended, parallelism } : each));
      return { ...before, work: { ...now, jobs } };
    }
    case 'retireWork':
      return { ...before, work: { ...clean, jobs: now.jobs.map((each) => ({ ...each, ttlSeconds: 86_400 })) } };
    default:
      return before;
  }
}

/** A comparison has nothing to compare, and so ends once it is planned. */
function executeComparison(before: Facts, { kind }: Action): Facts {
  if (kind === 'retireWork') return { ...before, verification: undefined };
  if (kind !== 'planRanges') return before;
  const ranges = { ranges: [], jobs: [], checkpoints: [], podProblems: [], liveSettings: undefined };
  return { ...before, verification: ranges };
}

const statusOf = (status: Status, type: ConditionType) => status.conditions?.find((each) => each.type === type);

function checkConditions({ migration, readiness, now }: Facts, status: Status) {
  expect(status.observedGeneration).toBe(migration.generation);
  const stated = CONDITION_TYPES.filter((type) => type !== 'EdgeReady' || readiness !== undefined);
  expect(status.conditions?.map(({ type }) => type)).toEqual(stated);
  for (const condition of status.conditions ?? []) {
    const legal: readonly string[] = REASONS[condition.type as ConditionType][condition.status];
    expect(
      legal.includes('*') || legal.includes(condition.reason),
      `${condition.type}=${condition.status}/${condition.reason}`,
    ).toBe(true);
    expect(condition.observedGeneration).toBe(migration.generation);
    expect(Date.parse(condition.lastTransitionTime)).toBeLessThanOrEqual(now);
  }
  expect(Buffer.byteLength(JSON.stringify(status))).toBeLessThanOrEqual(4096);
}

function checkActions({ migration, readiness, work: { jobs } }: Facts, { status, actions }: Decision) {
  const marks = actions.filter(({ kind }) => kind === 'markStarted' || kind === 'markCompleted');
  const isReady = readiness === undefined || statusOf(status, 'EdgeReady')?.status === 'True';
  if (!isReady) expect(marks).toEqual([]);
  const starts = actions.filter(({ kind }) => kind === 'createJob' || kind === 'planRanges');
  if (migration.spec?.suspend || statusOf(status, 'Accepted')?.status !== 'True') expect(starts).toEqual([]);
  if (jobs.some(({ outcome }) => outcome === 'active')) expect(starts).toEqual([]);
  expect(starts.length).toBeLessThanOrEqual(1);
}

function checkDeadline({ migration: { spec, status: before }, capture, replay, now }: Facts, status: Status) {
  if (statusOf(before, 'Copied')?.status === 'True') expect(statusOf(status, 'Copied')?.status).toBe('True');
  const isFollowed = capture.kind !== 'disabled' && replay.kind !== 'disabled';
  const { completionTime } = status.copy ?? {};
  if (spec === undefined || completionTime === undefined || !isFollowed) return;
  if (statusOf(status, 'Accepted')?.status !== 'True') return;
  const deadline = Date.parse(completionTime) + spec.replay.windowSeconds * 1000;
  expect(Math.abs(Date.parse(status.replay?.deadline ?? '') - deadline)).toBeLessThan(1000);
  if (now < deadline) expect(statusOf(status, 'Succeeded')?.status).toBe('Unknown');
  if (spec.suspend) expect(statusOf(status, 'Replaying')?.status).not.toBe('True');
}

const isWithin = (gap: GapStatus, other: GapStatus) =>
  Date.parse(other.from) <= Date.parse(gap.from) &&
  (other.until === undefined || Date.parse(gap.until ?? '') <= Date.parse(other.until));

/** The parts from before the status was removed or reverted. */
function checkNothingLost(before: Status, after: Status) {
  if (before.copy?.completionTime === undefined) return;
  expect(after.copy?.completionTime).toBe(before.copy.completionTime);
  expect(after.skipped).toEqual(before.skipped);
  for (const gap of before.gaps ?? []) expect(after.gaps?.some((other) => isWithin(gap, other))).toBe(true);
  expect(after.verification?.last).toEqual(before.verification?.last);
  for (const type of ['Copied', 'Verified', 'Succeeded'] as const) {
    const { status, reason } = statusOf(before, type) ?? {};
    expect(statusOf(after, type)).toMatchObject({ status, reason });
  }
}

/** Runs passes until nothing more is due at this time, like the operator. */
function settle(before: Facts): Facts {
  let current = before;
  for (let pass = 0; ; pass += 1) {
    current = { ...current, migration: restoreStatus(current.migration, current.record) };
    const decision = decide(current);
    checkConditions(current, decision.status);
    checkActions(current, decision);
    checkDeadline(current, decision.status);
    const acted = decision.actions.reduce(execute, current);
    const isRest =
      JSON.stringify(decision.status) === JSON.stringify(current.migration.status) &&
      acted === current &&
      decision.record === undefined;
    const record = decision.record ?? current.record;
    current = { ...acted, record, migration: { ...acted.migration, status: decision.status } };
    if (isRest) return current;
    expect(pass, 'passes until there is nothing to write and nothing to do').toBeLessThan(16);
  }
}

test("a migration's status is complete and follows the rules after any history, and the migration comes to rest", {
  timeout: 120_000,
}, () => {
  const mode = fc.constantFrom('Migrate', 'Plan');
  fc.assert(
    fc.property(mode, fc.array(step, { minLength: 10, maxLength: 40, size: 'max' }), (startMode, steps) => {
      let current = settle(facts({ migration: migration({}, { mode: startMode }), work: clean }));
      const earlier: Status[] = [];
      for (const each of steps) {
        const before = current;
        current = settle(apply(before, each, earlier));
        const { status } = current.migration;
        if (status.copy?.completionTime !== undefined) earlier.push(status);
        if (each.kind === 'wipe' || each.kind === 'putBack')
          checkNothingLost(before.migration.status, current.migration.status);
      }
    }),
    { numRuns: 100 },
  );
});
