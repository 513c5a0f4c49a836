import { describe, expect, test } from 'vitest';
import { decide } from './decide.ts';
import type { Facts, JobFact } from './facts.ts';
import {
  checkpoint,
  condition,
  covered,
  endedJob,
  facts,
  following,
  job,
  migration,
  NOON,
  next,
  twoRanges,
  visitedFacts as visited,
  work,
} from './testing/facts.ts';

const kinds = (decision: ReturnType<typeof decide>) => decision.actions.map(({ kind }) => kind);

/** Both ranges, copied by Job 1, which ended at noon. */
const ranges = { ranges: twoRanges };
const finished = [
  checkpoint(
    0,
    { read: 500, inserted: 490, skipped: 10 },
    { finished: true, skippedByReason: { IdentifierTooLong: 10 } },
  ),
  checkpoint(1, { read: 500, inserted: 500 }, { finished: true }),
];
const copied = () => {
  const settling = visited({ work: work({ ...ranges, jobs: [endedJob], checkpoints: finished }) });
  return next({ ...settling, now: NOON + 30_000 }, 1_000);
};

describe('the first visit', () => {
  test('writes every condition with its generation, announces the next step, and does nothing yet', () => {
    const { status, actions, nextTime } = decide(facts());
    expect(status.conditions?.map(({ type }) => type)).toEqual([
      'Accepted',
      'Capturing',
      'Copied',
      'Verified',
      'Replaying',
      'Suspended',
      'Degraded',
      'Succeeded',
    ]);
    expect(status.conditions?.every(({ observedGeneration }) => observedGeneration === 1)).toBe(true);
    expect(condition(status, 'Copied')).toBe('False/Planning');
    expect(condition(status, 'Succeeded')).toBe('Unknown/Active');
    expect(actions).toEqual([]);
    expect(nextTime).toBe(NOON);
  });
});

describe('while appliers write in another region', () => {
  const reason = 'eu-west-2 has not answered for 60 s';
  const away = { regions: ['us-east-2'], home: 'eu-west-2', since: NOON, reason, appliers: 1 };
  const copying = (jobs: JobFact[], replay = following({ away })) =>
    decide(visited({ capture: covered(), replay, work: work({ ...ranges, jobs }) }));

  test('nothing is planned or started, and the status says why', () => {
    const { status, actions, nextTime } = decide(visited({ capture: covered(), replay: following({ away }) }));
    expect(actions).toEqual([]);
    expect(condition(status, 'Copied')).toBe('False/WrittenElsewhere');
    expect(condition(status, 'Degraded')).toBe('True/WrittenElsewhere');
    expect(nextTime).toBeDefined();
    expect(kinds(copying([]))).not.toContain('createJob');
  });

  test('pods are stopped until appliers write in the home region again', () => {
    const stopped = copying([job()]);
    expect(stopped.actions).toMatchObject([{ kind: 'adjustJob', suspend: true }]);
    expect(condition(stopped.status, 'Copied')).toBe('False/WrittenElsewhere');
    expect(stopped.nextTime).toBeDefined();
    expect(kinds(copying([job({ suspended: true })]))).toEqual([]);
    const back = copying([job({ suspended: true })], following());
    expect(back.actions).toMatchObject([{ kind: 'adjustJob', suspend: false }]);
    expect(condition(back.status, 'Copied')).toBe('False/Copying');
  });

  test('a copy whose ranges are all done still settles', () => {
    const done = work({ ...ranges, jobs: [endedJob], checkpoints: finished });
    const { status } = decide(visited({ capture: covered(), replay: following({ away }), work: done }));
    expect(condition(status, 'Copied')).toBe('False/Settling');
  });
});

describe('acceptance', () => {
  test.each([
    [
      'a spec that breaks the schema',
      { migration: migration({ spec: undefined, specProblem: 'spec.mode: wrong' }) },
      'InvalidSpec',
      'spec.mode',
    ],
    [
      'an older EdgeMigration of the same project',
      { olderDuplicate: 'elsewhere/project-42' },
      'Duplicate',
      'elsewhere/project-42',
    ],
    [
      'a project that Core does not have',
      { core: { kind: 'missing' } as const },
      'ProjectNotFound',
      'check spec.projectId',
    ],
    [
      'a project that was deleted',
      { core: { kind: 'deleted' } as const },
      'ProjectDeleted',
      'delete this EdgeMigration',
    ],
    [
      'a Core that cannot be read',
      { core: { kind: 'problem', reason: 'CoreUnreachable', message: 'no answer from db:5432' } as const },
      'CoreUnreachable',
      'db:5432',
    ],
    [
      'tables of the wrong shape',
      { edge: { kind: 'problem', reason: 'WrongTable', message: 'no composite_key' } as const },
      'WrongTable',
      'composite_key',
    ],
  ])('%s is refused with a reason and a remedy', (_, changes, reason, hint) => {
    const { status, actions } = decide(visited(changes));
    expect(condition(status, 'Accepted')).toBe(`False/${reason}`);
    expect(condition(status, 'Degraded')).toBe('True/NotAccepted');
    expect(status.message).toContain(hint);
    expect(status.phase).toMatch(/Rejected|Failed/);
    expect(actions).toEqual([]);
  });

  test('the migration goes on once the cause is fixed', () => {
    const broken = visited({ core: { kind: 'problem', reason: 'CoreUnreachable', message: 'no answer' } });
    expect(decide(broken).nextTime).toBe(NOON + 15_000);
    const mended = next(broken, 15_000, { core: { kind: 'found', environments: 2 } });
    expect(condition(decide(mended).status, 'Accepted')).toBe('True/Accepted');
    expect(kinds(decide(mended))).toEqual([]);
    expect(kinds(decide(next(mended, 0)))).toEqual(['planRanges']);
  });

  test('running pods are stopped while the migration is not accepted', () => {
    const running = visited({ olderDuplicate: 'elsewhere/project-42', work: work({ ...ranges, jobs: [job()] }) });
    expect(decide(running).actions).toMatchObject([{ kind: 'adjustJob', suspend: true }]);
  });
});

describe('the copy', () => {
  test('is planned, then started with a Job for all ranges', () => {
    expect(kinds(decide(visited()))).toEqual(['planRanges']);
    const planned = visited({ work: work({ ...ranges }) });
    expect(decide(planned).actions).toMatchObject([
      { kind: 'markStarted' },
      { kind: 'createJob', attempt: 1, rangeIds: [0, 1], parallelism: 4 },
    ]);
  });

  test('gives each pod its share of the write units, by the number of pods that can still run', () => {
    const planned = visited({
      migration: migration({}, { copy: { maxWriteUnitsPerSecond: 900, parallelism: 3 } }),
      work: work({ ...ranges, liveSettings: undefined }),
    });
    expect(decide(planned).actions[1]).toMatchObject({
      kind: 'writeLiveSettings',
      settings: { maxWriteUnitsPerSecond: 450, pageSize: 1000, onConflict: 'KeepEdge' },
    });
  });

  test('shows its exact progress, its rate and the remaining time', () => {
    const checkpoints = [
      checkpoint(0, { read: 300, inserted: 300 }),
      checkpoint(1, { read: 100, inserted: 90, unchanged: 10 }),
    ];
    const { status } = decide(visited({ work: work({ ...ranges, jobs: [job()], checkpoints }) }));
    expect(status.copy).toMatchObject({
      identitiesTotal: 1000,
      identitiesRead: 400,
      identitiesCopied: 390,
      identitiesUnchanged: 10,
      identitiesPerSecond: 200,
      estimatedCompletionTime: '2026-05-04T12:00:03Z',
    });
    expect(status.progress).toBe('400/1000 (40%)');
  });

  test('updates the status for progress alone every two seconds at most', () => {
    const first = visited({ work: work({ ...ranges, jobs: [job()], checkpoints: [checkpoint(0, { read: 10 })] }) });
    const soon = next(first, 500, {
      work: work({ ...ranges, jobs: [job()], checkpoints: [checkpoint(0, { read: 200 })] }),
    });
    expect(decide(soon).status.copy).toEqual(soon.migration.status.copy);
    expect(decide(soon).nextTime).toBe(NOON + 2_000);
    expect(decide({ ...soon, now: NOON + 2_000 }).status.copy?.identitiesRead).toBe(200);
  });

  test('follows spec.copy.parallelism and spec.suspend while it runs', () => {
    const running = { ...ranges, jobs: [job()] };
    const wider = visited({ migration: migration({}, { copy: { parallelism: 2 } }), work: work(running) });
    expect(decide(wider).actions).toMatchObject([{ kind: 'adjustJob', parallelism: 2, suspend: false }]);
    const stopped = visited({ migration: migration({}, { suspend: true }), work: work(running) });
    expect(decide(stopped).actions).toMatchObject([{ kind: 'adjustJob', suspend: true }]);
    expect(condition(decide(stopped).status, 'Copied')).toBe('False/Suspended');
    expect(condition(decide(stopped).status, 'Suspended')).toBe('True/Requested');
  });

  test('is complete only when no page read before its end may still be written', () => {
    const settling = visited({ work: work({ ...ranges, jobs: [endedJob], checkpoints: finished }) });
    expect(condition(decide(settling).status, 'Copied')).toBe('False/Settling');
    expect(decide(settling).nextTime).toBe(NOON + 30_000);
    const settled = decide({ ...settling, now: NOON + 30_000 });
    expect(condition(settled.status, 'Copied')).toBe('True/Complete');
    expect(condition(settled.status, 'Succeeded')).toBe('True/CaptureDisabled');
    expect(kinds(settled)).toEqual(['writeSkippedReport', 'markCompleted', 'writeAudit']);
    expect(settled.status.skipped).toEqual({
      total: 10,
      reportName: 'project-42-0a1b2c3d-skipped',
      byReason: [{ reason: 'IdentifierTooLong', count: 10 }],
    });
  });

  test('is complete only when no write from pods unknown to it may still arrive', () => {
    const formerSeen = NOON + 5_000;
    const settling = visited({ work: work({ ...ranges, jobs: [endedJob], checkpoints: finished, formerSeen }) });
    expect(decide({ ...settling, now: NOON + 60_000 })).toMatchObject({ nextTime: NOON + 70_000 });
    expect(condition(decide({ ...settling, now: NOON + 69_000 }).status, 'Copied')).toBe('False/Settling');
    expect(condition(decide({ ...settling, now: NOON + 70_000 }).status, 'Copied')).toBe('True/Complete');
  });

  test.each([
    ['is gone', []],
    ['is as it was before its end', [checkpoint(1, { read: 200, inserted: 200 })]],
  ])('is not complete if the checkpoint of a successful pod %s: the range is done again', (_, others) => {
    const checkpoints = [...finished.slice(0, 1), ...others];
    const ended = visited({ now: NOON + 1_000, work: work({ ...ranges, jobs: [endedJob], checkpoints }) });
    const { status, actions, nextTime } = decide(ended);
    expect(condition(status, 'Copied')).toBe('False/RangesFailed');
    expect(status.message).toContain('checkpoints were removed or damaged');
    expect(status.copy).toMatchObject({ rangesDone: 1, rangesFailed: 1 });
    expect(actions).toEqual([]);
    expect(nextTime).toBe(NOON + 16_000);
    const again = decide({ ...ended, now: NOON + 16_000 });
    expect(again.actions.at(-1)).toMatchObject({ kind: 'createJob', attempt: 2, rangeIds: [1] });
  });

  test('is complete at once for a project without identities', () => {
    const { status } = decide(visited({ work: work({ ranges: [] }) }));
    expect(condition(status, 'Copied')).toBe('True/Complete');
  });

  test('removes its ranges and checkpoints once the outcome is in the status, and then rests', () => {
    expect(kinds(decide(copied()))).toEqual(['retireWork']);
    const rested = { ...copied(), work: work({ jobs: [{ ...endedJob, ttlSeconds: 86_400 }] }) };
    const { status, actions, nextTime } = decide(rested);
    expect(actions).toEqual([]);
    expect(nextTime).toBeUndefined();
    expect(status).toEqual(rested.migration.status);
  });

  test('stays complete when its Jobs are gone and Core is down', () => {
    const later = {
      ...copied(),
      core: { kind: 'problem', reason: 'CoreUnreachable', message: 'down' } as const,
      work: work(),
    };
    expect(condition(decide(later).status, 'Copied')).toBe('True/Complete');
    expect(condition(decide(later).status, 'Succeeded')).toBe('True/CaptureDisabled');
  });
});

describe('failed ranges', () => {
  const failedJob = job({
    outcome: 'failed',
    completedIndexes: [0],
    failedIndexes: [1],
    failure: 'FailedIndexes',
  });
  const failed = (spec = {}) =>
    visited({
      migration: migration({}, spec),
      work: work({
        ...ranges,
        jobs: [failedJob],
        checkpoints: finished.slice(0, 1),
        podProblems: [{ pod: 'p-1', reason: 'CoreRefused', message: 'password is wrong' }],
      }),
    });

  test('are retried alone, with growing pauses, and the status says when and why', () => {
    const { status, actions, nextTime } = decide(failed());
    expect(condition(status, 'Copied')).toBe('False/RangesFailed');
    expect(condition(status, 'Degraded')).toBe('True/RangesFailed');
    expect(status.message).toContain('password is wrong');
    expect(status.copy).toMatchObject({ rangesFailed: 1, retryTime: '2026-05-04T12:00:15Z' });
    expect(actions).toEqual([]);
    const again = decide({ ...failed(), now: nextTime ?? 0 });
    expect(again.actions.at(-1)).toMatchObject({ kind: 'createJob', attempt: 2, rangeIds: [1] });
  });

  test('are retried at once with a new spec.retry, and only once', () => {
    const asked = failed({ retry: 'now-please' });
    const unseen = {
      ...asked,
      migration: { ...asked.migration, status: { ...asked.migration.status, observedRetry: 'older' } },
    };
    const decision = decide(unseen);
    expect(decision.actions.at(-1)).toMatchObject({ kind: 'createJob', attempt: 2 });
    expect(decision.status.observedRetry).toBe('now-please');
    expect(decide(asked).actions).toEqual([]);
  });

  test('are started again after their Job was removed', () => {
    const gone = next(visited({ work: work({ ...ranges, jobs: [job()] }) }), 0, { work: work({ ...ranges }) });
    expect(gone.migration.status.copy?.attempt).toBe(1);
    expect(decide(gone).actions.at(-1)).toMatchObject({ kind: 'createJob', attempt: 2, rangeIds: [0, 1] });
  });
});

describe('mode Plan', () => {
  const plan = (changes: Partial<Facts> = {}) => visited({ migration: migration({}, { mode: 'Plan' }), ...changes });
  const counted = [
    checkpoint(
      0,
      { read: 1000, skipped: 10, unchanged: 5, writeUnits: 3000, documentBytes: 800_000 },
      { finished: true },
    ),
  ];

  test('reads and counts, and never marks the project as being migrated', () => {
    const { actions } = decide(plan({ work: work({ ranges: twoRanges }) }));
    expect(actions).toMatchObject([{ kind: 'createJob', operation: 'plan' }]);
  });

  test('ends with counts, write units, time and cost', () => {
    const ended = work({
      ranges: [{ rangeId: 0, identities: 1000 }],
      jobs: [job({ ...endedJob, rangeIds: [0] })],
      checkpoints: counted,
    });
    const { status } = decide(plan({ work: ended }));
    expect(condition(status, 'Succeeded')).toBe('True/Planned');
    expect(condition(status, 'Copied')).toBe('False/PlanMode');
    expect(status.plan).toMatchObject({
      identitiesTotal: 1000,
      identitiesMigratable: 990,
      existingEqual: 5,
      documentBytes: 800_000,
      writeUnits: 3000,
      durationSeconds: 1,
      costUSD: '0.00',
    });
    expect(status.plan).not.toHaveProperty('writes');
  });

  test('ends with the write units and cost of every region, table and index, and with the time for the home region', () => {
    const plannedUnits = {
      'eu-west-2/identities': 2_000_000,
      'eu-west-2/identities/by-id': 1_000_000,
      'us-east-2/identities': 2_000_000,
      'us-east-2/identities/by-id': 1_000_000,
    };
    const [done] = counted;
    const ended = work({
      ranges: [{ rangeId: 0, identities: 1000 }],
      jobs: [job({ ...endedJob, rangeIds: [0] })],
      checkpoints: [{ ...done!, counts: { ...done!.counts, writeUnits: 3_000_000 }, plannedUnits }],
    });
    const { status } = decide(plan({ work: ended }));
    expect(status.plan).toMatchObject({
      writeUnits: 3_000_000,
      durationSeconds: 750,
      costUSD: '3.75',
      writes: [
        { region: 'eu-west-2', table: 'identities', writeUnits: 2_000_000, costUSD: '1.25' },
        { region: 'eu-west-2', table: 'identities', index: 'by-id', writeUnits: 1_000_000, costUSD: '0.63' },
        { region: 'us-east-2', table: 'identities', writeUnits: 2_000_000, costUSD: '1.25' },
        { region: 'us-east-2', table: 'identities', index: 'by-id', writeUnits: 1_000_000, costUSD: '0.63' },
      ],
    });
  });
});
