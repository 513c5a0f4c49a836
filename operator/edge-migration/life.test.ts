import { specSchema } from '@edge-migration/contract/edge-migration/api.ts';
import { describe, expect, test } from 'vitest';
import { decide } from './decide.ts';
import type { Facts } from './facts.ts';
import {
  checkpoint,
  condition,
  copiedWork,
  covered,
  endedJob,
  facts,
  following,
  job,
  migration,
  NOON,
  next,
  twoRanges,
  visitedFacts,
  work,
} from './testing/facts.ts';

const HOUR = 3_600_000;
const captured = { capture: covered(), replay: following() };
const failed = job({ outcome: 'failed', completedIndexes: [0], failedIndexes: [1] });
const settling = () => visitedFacts({ ...captured, work: copiedWork() });
const copied = () => next({ ...settling(), now: NOON + 60_000 }, 1_000, { work: work() });
const DEADLINE = NOON + 60_000 + 28 * 24 * HOUR;
const after = (milliseconds: number, changes: Partial<Facts> = {}) =>
  next({ ...copied(), now: DEADLINE + milliseconds, ...changes }, 0);
const drained = {
  capture: covered({ allSentUntil: DEADLINE + 5_000 }),
  replay: following({ takenUntil: DEADLINE + 4_000 }),
};

/** Every state of a migration, as the facts that produce it. */
const STATES = {
  rejected: () => visitedFacts({ core: { kind: 'missing' } }),
  waiting: () => visitedFacts({ ...captured, capture: covered({ covered: false, reason: 'SidecarMissing' }) }),
  planning: () => visitedFacts(captured),
  starting: () => visitedFacts({ ...captured, work: work({ ranges: twoRanges }) }),
  copying: () => visitedFacts({ ...captured, work: work({ ranges: twoRanges, jobs: [job()] }) }),
  failing: () => visitedFacts({ ...captured, work: work({ ranges: twoRanges, jobs: [failed] }) }),
  settling,
  following: copied,
  draining: () => after(1_000),
  succeeded: () => after(7_000, drained),
  plan: () =>
    visitedFacts({ migration: migration({}, { mode: 'Plan' }), work: work({ ranges: twoRanges, jobs: [job()] }) }),
} satisfies Record<string, () => Facts>;
type State = keyof typeof STATES;

/** The facts after `kubectl edit`: a new generation with these fields. */
function edit(from: Facts, spec: Record<string, unknown>): Facts {
  const { generation, spec: before } = from.migration;
  const changed = specSchema.parse({ ...before, ...spec });
  return { ...from, migration: { ...from.migration, generation: generation + 1, spec: changed } };
}

const short = (from: Facts) => {
  const { status } = decide(from);
  return [status.phase, ...['Copied', 'Replaying', 'Succeeded'].map((type) => condition(status, type))].join(' ');
};
const actions = (from: Facts) => decide(from).actions.map(({ kind }) => kind);

describe('a migration in each state', () => {
  test.each<[State, string]>([
    ['rejected', 'Rejected Unknown/NotAccepted False/NotReplaying Unknown/NotAccepted'],
    ['waiting', 'WaitingForCapture False/WaitingForCapture False/NotCopied Unknown/Active'],
    ['planning', 'Planning False/Planning False/NotCopied Unknown/Active'],
    ['starting', 'Copying False/Copying False/NotCopied Unknown/Active'],
    ['copying', 'Copying False/Copying False/NotCopied Unknown/Active'],
    ['failing', 'Retrying False/RangesFailed False/NotCopied Unknown/Active'],
    ['settling', 'Settling False/Settling False/NotCopied Unknown/Active'],
    ['following', 'Replaying True/Complete True/Following Unknown/Replaying'],
    ['draining', 'Replaying True/Complete True/Draining Unknown/Draining'],
    ['succeeded', 'Succeeded True/Complete False/WindowClosed True/WindowClosed'],
    ['plan', 'Copying False/Copying False/NotReplaying Unknown/Active'],
  ])('that is %s has the status of that state, and keeps it when decided again', (state, expected) => {
    const from = STATES[state]();
    expect(short(from)).toBe(expected);
    const again = next(from, 0);
    expect(decide(again).status).toEqual(again.migration.status);
    expect(decide(again).actions).toEqual(decide(from).actions);
  });
});

describe('spec.suspend', () => {
  test.each<[State, string]>([
    ['rejected', 'Rejected Unknown/NotAccepted False/NotReplaying Unknown/NotAccepted'],
    ['waiting', 'Suspended False/Suspended False/NotCopied Unknown/Active'],
    ['planning', 'Suspended False/Suspended False/NotCopied Unknown/Active'],
    ['starting', 'Suspended False/Suspended False/NotCopied Unknown/Active'],
    ['copying', 'Suspended False/Suspended False/NotCopied Unknown/Active'],
    ['failing', 'Suspended False/Suspended False/NotCopied Unknown/Active'],
    // Nothing that could be stopped runs: the copy is complete once no old page may be written any more.
    ['settling', 'Suspended False/Settling False/NotCopied Unknown/Active'],
    ['following', 'Suspended True/Complete False/Suspended Unknown/Replaying'],
    ['draining', 'Suspended True/Complete False/Suspended Unknown/Draining'],
    ['succeeded', 'Succeeded True/Complete False/WindowClosed True/WindowClosed'],
    ['plan', 'Suspended False/Suspended False/NotReplaying Unknown/Active'],
  ])('stops a migration that is %s', (state, expected) => {
    const stopped = edit(STATES[state](), { suspend: true });
    expect(short(stopped)).toBe(expected);
    expect(condition(decide(stopped).status, 'Suspended')).toBe('True/Requested');
    expect(decide(stopped).actions.filter((action) => action.kind !== 'adjustJob' || !action.suspend)).toEqual([]);
    expect(decide(stopped).status.observedGeneration).toBe(2);
  });

  test.each(Object.keys(STATES) as State[])(
    'taken back, lets a migration that was %s continue where it was',
    (state) => {
      const from = STATES[state]();
      const stopped = next(edit(from, { suspend: true }), 0);
      const resumed = edit(stopped, { suspend: false });
      expect(short(resumed)).toBe(short(from));
      const isBut = (kind: string) => kind !== 'adjustJob';
      expect(actions(resumed).filter(isBut)).toEqual(actions(from).filter(isBut));
    },
  );

  test('taken back, starts the suspended pods of a Job again', () => {
    const running = { ranges: twoRanges, jobs: [job({ suspended: true })] };
    expect(decide(visitedFacts({ work: work(running) })).actions).toMatchObject([
      { kind: 'adjustJob', suspend: false },
    ]);
  });
});

describe('an edit while the copy runs', () => {
  const live = { pageSize: 1000, maxWriteUnitsPerSecond: 2000, onConflict: 'KeepEdge' } as const;
  const running = () => visitedFacts({ work: work({ ranges: twoRanges, jobs: [job()], liveSettings: live }) });

  test.each<[string, Record<string, unknown>, object[]]>([
    [
      'parallelism',
      { parallelism: 1 },
      [{ settings: { maxWriteUnitsPerSecond: 4000 } }, { kind: 'adjustJob', parallelism: 1 }],
    ],
    ['parallelism beyond the ranges', { parallelism: 64 }, [{ kind: 'adjustJob', parallelism: 64 }]],
    ['maxWriteUnitsPerSecond', { maxWriteUnitsPerSecond: 500 }, [{ settings: { maxWriteUnitsPerSecond: 250 } }]],
    ['pageSize', { pageSize: 50 }, [{ settings: { pageSize: 50 } }]],
    ['onConflict', { onConflict: 'CoreWins' }, [{ settings: { onConflict: 'CoreWins' } }]],
  ])('of copy.%s reaches the pods', (_, copy, expected) => {
    expect(actions(running())).toEqual([]);
    expect(decide(edit(running(), { copy })).actions).toMatchObject(expected);
  });

  test("of a plan's maxWriteUnitsPerSecond changes the time that a copy would take", () => {
    const plan = { completionTime: '2026-05-04T12:00:00Z', writeUnits: 8_000 };
    const planned = visitedFacts({ migration: migration({}, { mode: 'Plan' }) });
    const from = { ...planned, migration: { ...planned.migration, status: { ...planned.migration.status, plan } } };
    expect(decide(from).status.plan?.durationSeconds).toBe(2);
    expect(decide(edit(from, { copy: { maxWriteUnitsPerSecond: 100 } })).status.plan?.durationSeconds).toBe(80);
  });
});

describe('spec.replay.windowSeconds', () => {
  const window = (from: Facts, windowSeconds: number) => edit(from, { replay: { windowSeconds } });

  test('raised within the window, moves the deadline without a gap', () => {
    const { status } = decide(window(copied(), 5_000_000));
    expect(status.replay?.deadline).toBe('2026-07-01T08:54:20Z');
    expect(condition(status, 'Degraded')).toBe('False/AsExpected');
  });

  test('lowered below the time that has passed, closes the window once all is applied', () => {
    const closing = window(next(copied(), HOUR), 600);
    expect(short(closing)).toBe('Replaying True/Complete True/Draining Unknown/Draining');
    const now = closing.now;
    const all = { capture: covered({ allSentUntil: now }), replay: following({ takenUntil: now }) };
    expect(short({ ...closing, ...all })).toBe('Succeeded True/Complete False/WindowClosed True/WindowClosed');
  });

  test.each<[string, () => Facts]>([
    ['while it drains', STATES.draining],
    ['after it has succeeded', STATES.succeeded],
  ])('raised %s opens the window again, and the status gives the time without replay', (_, state) => {
    const reopened = window(state(), 2_419_200 + 3_600);
    expect(short(reopened)).toBe('Replaying True/Complete True/Following Unknown/Replaying');
    const { status } = decide(reopened);
    expect(condition(status, 'Degraded')).toBe('True/CoverageGap');
    expect(status.gaps).toMatchObject([{ from: '2026-06-01T12:01:00Z', reason: 'windowReopened' }]);
    expect(Date.parse(status.gaps?.[0]?.until ?? '')).toBeGreaterThanOrEqual(reopened.now + 10_000);
    expect(decide(next(reopened, 0)).status.gaps).toEqual(status.gaps);
  });
});

describe('spec.retry', () => {
  const token = (from: Facts) => edit(from, { retry: 'again-1' });

  test('is taken once by every state that can act on it', () => {
    const retried = token(STATES.failing());
    expect(actions(retried)).toContain('createJob');
    expect(decide(retried).status.observedRetry).toBe('again-1');
    const started = next(retried, 0, { work: work({ ranges: twoRanges, jobs: [failed] }) });
    expect(actions(started)).toEqual([]);
  });

  test('waits while the migration is suspended, and is taken when it goes on', () => {
    const stopped = edit(token(STATES.failing()), { suspend: true });
    expect(decide(stopped).status.observedRetry).toBeUndefined();
    const resumed = edit(next(stopped, 0), { suspend: false });
    expect(actions(resumed)).toContain('createJob');
    expect(decide(resumed).status.observedRetry).toBe('again-1');
  });

  test('waits while other ranges are still being copied, because a Job cannot repeat a single range', () => {
    const partly = work({ ranges: twoRanges, jobs: [job({ failedIndexes: [1] })] });
    const asked = token(visitedFacts({ work: partly }));
    expect(decide(asked).status.observedRetry).toBeUndefined();
    const all = next(asked, 0, { work: work({ ranges: twoRanges, jobs: [failed] }) });
    expect(actions(all)).toContain('createJob');
  });

  test('is not lost when the migration is accepted only later', () => {
    const broken = { core: { kind: 'problem', reason: 'CoreUnreachable', message: 'no answer' } as const };
    const rejected = next(STATES.failing(), 0, broken);
    const mended = token({ ...next(rejected, 0), core: { kind: 'found', environments: 1 } });
    expect(decide(mended).status.observedRetry).toBeUndefined();
    expect(actions(next(mended, 0))).toContain('createJob');
  });

  test.each<State>(['following', 'succeeded'])('copies nothing again for a %s migration without failures', (state) => {
    const retried = token(STATES[state]());
    expect(actions(retried)).toEqual(actions(STATES[state]()));
    expect(short(retried)).toBe(short(STATES[state]()));
    expect(decide(retried).status.observedRetry).toBe('again-1');
  });

  test('triggers an immediate check of a migration whose project was deleted', () => {
    const gone = next(facts({ core: { kind: 'deleted' } }), 0);
    expect(short(gone)).toBe('Failed Unknown/NotAccepted False/NotReplaying False/ProjectDeleted');
    const back = token({ ...next(gone, 0), core: { kind: 'found', environments: 1 } });
    expect(short(back)).toBe('Planning False/Planning False/CaptureDisabled Unknown/Active');
  });
});

describe('a plan that becomes a migration', () => {
  const planned = () => {
    const counted = [0, 1].map((rangeId) => checkpoint(rangeId, { read: 500, writeUnits: 500 }, { finished: true }));
    const work1 = work({ ranges: twoRanges, jobs: [endedJob], checkpoints: counted });
    return next(visitedFacts({ ...captured, migration: migration({}, { mode: 'Plan' }), work: work1 }), 0);
  };
  const uncovered = { capture: covered({ covered: false, reason: 'SidecarMissing' }) };

  test('waits for capture like any other, even after a finished plan', () => {
    const migrating = edit({ ...planned(), ...uncovered, work: work() }, { mode: 'Migrate' });
    expect(condition(decide(migrating).status, 'Copied')).toBe('False/WaitingForCapture');
    expect(decide(migrating).status.copy).toBeUndefined();
    expect(decide(migrating).status.plan?.writeUnits).toBe(1000);
  });

  test('removes what is left of the plan, even an unfinished one', () => {
    const migrating = edit({ ...planned(), work: work({ planIsLeft: true }) }, { mode: 'Migrate' });
    expect(decide(migrating).actions).toMatchObject([
      { kind: 'retireWork', operation: 'plan' },
      { kind: 'planRanges' },
    ]);
  });
});

describe('the status of an older release', () => {
  test('is completed with new fields, and keeps its content', () => {
    const { status } = decide(STATES.following());
    const conditions = status.conditions?.filter(({ type }) => ['Accepted', 'Copied'].includes(type)) ?? [];
    const old = {
      observedGeneration: 1,
      phase: 'Copied',
      conditions,
      copy: { completionTime: '2026-05-04T12:01:00Z' },
    };
    const upgraded = { ...STATES.following(), migration: migration({ status: old }) };
    expect(short(upgraded)).toBe(short(STATES.following()));
    expect(decide(upgraded).status.conditions).toHaveLength(8);
    expect(actions(upgraded).filter((kind) => /planRanges|createJob/.test(kind))).toEqual([]);
  });

  test('keeps the status of a condition whose reason is unknown by now', () => {
    const from = STATES.following();
    const conditions = from.migration.status.conditions?.map((each) =>
      each.type === 'Copied' ? { ...each, reason: 'AllDone' } : each,
    );
    const status = { ...from.migration.status, ...(conditions === undefined ? {} : { conditions }) };
    expect(short({ ...from, migration: { ...from.migration, status } })).toBe(short(from));
  });
});

describe('capture that is switched on after the copy', () => {
  test('follows from then on, and the status gives the time of writes it cannot have seen', () => {
    const blind = next({ ...visitedFacts({ work: copiedWork() }), now: NOON + 60_000 }, HOUR, { work: work() });
    expect(short(blind)).toBe('Succeeded True/Complete False/CaptureDisabled True/CaptureDisabled');
    const seeing = next(blind, 0, captured);
    expect(short(seeing)).toBe('Replaying True/Complete True/Following Unknown/Replaying');
    expect(decide(seeing).status.gaps).toMatchObject([{ from: expect.any(String), reason: 'captureDisabled' }]);
    expect(condition(decide(seeing).status, 'Degraded')).toBe('True/CoverageGap');
  });
});
