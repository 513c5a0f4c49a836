import { describe, expect, test } from 'vitest';
import type { JobFact } from './facts.ts';
import { decideRanges, retire, type WorkKind } from './range-work.ts';
import { endedJob, job, NOON, twoRanges } from './testing/facts.ts';

interface Settings {
  readonly units: number;
}

type Work = WorkKind<Settings>['work'];

const spec = { suspend: false, copy: { parallelism: 4 } };
const told = { ranges: twoRanges, jobs: [], checkpoints: [], podProblems: [], liveSettings: { units: 50 } };
const done = (...ids: number[]) => ids.map((rangeId) => ({ rangeId, finished: true }));
const failed = job({ outcome: 'failed', failedIndexes: [1] });

/** Read-only work, whose outcome is final when its ranges are done. */
function kind(work: Partial<Work>, changes: Partial<WorkKind<Settings>> = {}): WorkKind<Settings> {
  return {
    operation: 'plan',
    work: { ...told, ...work },
    known: {},
    chooseSettings: (pods) => ({ units: 100 / pods }),
    writeSettings: ({ units }) => ({
      kind: 'writeLiveSettings',
      operation: 'plan',
      settings: { pageSize: 1, maxWriteUnitsPerSecond: units, onConflict: 'KeepEdge' },
    }),
    beforeStart: [],
    settledTime: Number.NEGATIVE_INFINITY,
    isRetryAsked: false,
    ...changes,
  };
}

const decide = (work: Partial<Work>, changes: Partial<WorkKind<Settings>> = {}, now = NOON, jobPods = undefined) =>
  decideRanges({ now, jobPods }, spec, kind(work, changes));
const suspended = (work: Partial<Work>) =>
  decideRanges({ now: NOON, jobPods: undefined }, { ...spec, suspend: true }, kind(work));

describe('ranges', () => {
  test('are planned first, and not while the work is suspended', () => {
    expect(decide({ ranges: undefined })).toMatchObject({
      stage: { kind: 'planning' },
      actions: [{ kind: 'planRanges', operation: 'plan' }],
    });
    expect(suspended({ ranges: undefined })).toMatchObject({ stage: { kind: 'unplanned' }, actions: [] });
  });

  test('without a finished checkpoint are started, after the actions that precede pods', () => {
    const beforeStart = [{ kind: 'markStarted' }] as const;
    const { stage, actions, remaining } = decide({ checkpoints: done(0), liveSettings: undefined }, { beforeStart });
    expect(stage).toEqual({ kind: 'starting' });
    expect(remaining).toEqual([1]);
    expect(actions).toMatchObject([
      { kind: 'markStarted' },
      { kind: 'writeLiveSettings', settings: { maxWriteUnitsPerSecond: 100 } },
      { kind: 'createJob', operation: 'plan', attempt: 1, rangeIds: [1], parallelism: 4 },
    ]);
    expect(suspended({ checkpoints: done(0) })).toMatchObject({ stage: { kind: 'stopped' }, actions: [] });
  });

  test('that are all done are complete once no write may still arrive', () => {
    const work = { jobs: [endedJob], checkpoints: done(0, 1) };
    expect(decide(work).stage).toEqual({ kind: 'complete' });
    const settledTime = NOON + 5_000;
    expect(decide(work, { settledTime }).stage).toEqual({ kind: 'settling', until: settledTime });
    expect(decide(work, { settledTime }, settledTime).stage).toEqual({ kind: 'complete' });
  });

  test('are not complete while pods work, whatever the checkpoints say', () => {
    expect(decide({ jobs: [job()], checkpoints: done(0, 1) }).stage).toMatchObject({ kind: 'running' });
  });
});

describe('pods', () => {
  test('are left alone if they match the spec and have their settings', () => {
    expect(decide({ jobs: [job()] }).actions).toEqual([]);
  });

  test('get a new share of the limits as soon as fewer of them have work', () => {
    expect(decide({ jobs: [job()], checkpoints: done(0) }).actions).toMatchObject([
      { kind: 'writeLiveSettings', settings: { maxWriteUnitsPerSecond: 100 } },
    ]);
  });

  test('are stopped and resumed by spec.suspend', () => {
    expect(suspended({ jobs: [job()] }).actions).toMatchObject([{ kind: 'adjustJob', suspend: true }]);
    expect(decide({ jobs: [job({ suspended: true })] }).actions).toMatchObject([{ kind: 'adjustJob', suspend: false }]);
  });

  describe('that outlive their workers', () => {
    const jobPods = { missing: undefined, stranded: { containers: ['proxy of pod p'], since: NOON } };
    const follow = (work: Partial<Work>, changes: Partial<WorkKind<Settings>> = {}) =>
      decideRanges({ now: NOON + 30_000, jobPods }, spec, kind(work, changes));

    test('are removed, and the status says when the rest is retried', () => {
      const removed = follow({ jobs: [job()], checkpoints: done(0) });
      expect(removed.actions).toMatchObject([{ kind: 'removeJob', attempt: 1 }]);
      expect(removed.degraded?.reason).toBe('PodsNotEnding');
      expect(removed.retryTime).toBe(NOON + 45_000);
      const known = { retryTime: new Date(NOON + 40_000).toISOString() };
      expect(follow({ jobs: [job({ deleting: true })] }, { known })).toMatchObject({
        actions: [],
        retryTime: NOON + 40_000,
      });
    });

    test('leave nothing to retry if every range is done', () => {
      expect(follow({ jobs: [job()], checkpoints: done(0, 1) }).retryTime).toBeUndefined();
    });
  });
});

describe('a failed range', () => {
  test('is retried alone after a pause, by the attempt after the last one seen', () => {
    const work = { jobs: [failed], checkpoints: done(0) };
    const waiting = decide(work);
    expect(waiting).toMatchObject({ stage: { kind: 'waiting', until: NOON + 15_000 }, actions: [] });
    const known = { retryTime: new Date(NOON + 15_000).toISOString(), attempt: 3 };
    expect(decide(work, { known }, NOON + 15_000).actions).toMatchObject([
      { kind: 'writeLiveSettings' },
      { kind: 'createJob', attempt: 4, rangeIds: [1] },
    ]);
  });

  test('is retried at once on request', () => {
    expect(decide({ jobs: [failed] }, { isRetryAsked: true }).stage).toEqual({ kind: 'starting' });
  });

  test.for<[string, JobFact, number]>([
    ['after a Job that failed', failed, 15_000],
    ['after a Job that succeeded, whose last checkpoint may still arrive', endedJob, 10_000],
  ])('waits %s', ([, last, pause]) => {
    const { stage } = decide({ jobs: [last] }, { pauseAfterSuccess: 10_000 });
    expect(stage).toEqual({ kind: 'waiting', until: NOON + pause });
  });

  test('does not wait after its Job was removed', () => {
    expect(decide({ jobs: [] }, { known: { attempt: 1 } }).actions).toMatchObject([
      { kind: 'createJob', attempt: 2, rangeIds: [0, 1] },
    ]);
  });
});

test.for<[string, Partial<Work>, boolean]>([
  ['ranges', {}, true],
  ['checkpoints', { ranges: undefined, checkpoints: done(0) }, true],
  ['a Job without an expiry', { ranges: undefined, jobs: [endedJob] }, true],
  ['a Job with an expiry', { ranges: undefined, jobs: [{ ...endedJob, ttlSeconds: 60 }] }, false],
])('finished work that has left %s is cleaned up: %s', ([, left, isRetired]) => {
  const retired = [{ kind: 'retireWork', operation: 'copy' }];
  expect(retire('copy', { ...told, ...left })).toEqual(isRetired ? retired : []);
});
