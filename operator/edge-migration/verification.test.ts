import type { GapStatus, Spec, Status } from '@edge-migration/contract/edge-migration/api.ts';
import { specSchema } from '@edge-migration/contract/edge-migration/api.ts';
import { describe, expect, test } from 'vitest';
import type { VerifyCheckpoint } from '../verify/checkpoint.ts';
import { NOTHING_VERIFIED, type VerifyTotals } from '../verify/totals.ts';
import type { Action } from './actions.ts';
import { type Decision, decide } from './decide.ts';
import type { Facts, VerificationFacts } from './facts.ts';
import { condition, covered, facts, following, job, migration, NOON, next, twoRanges } from './testing/facts.ts';

const COPIED = new Date(NOON).toISOString();
const DEADLINE = '2026-05-04T13:00:00Z';

/** A migration with a complete copy, and whatever has happened to it since. */
function copied(verify: Partial<Spec['verify']> = {}, status: Status = {}, changes: Partial<Facts> = {}): Facts {
  const base = migration({}, { verify });
  const conditions = [
    { type: 'Accepted', status: 'True' as const, reason: 'Accepted', message: '', lastTransitionTime: COPIED },
    { type: 'Copied', status: 'True' as const, reason: 'Complete', message: '', lastTransitionTime: COPIED },
  ];
  const known = { conditions, copy: { completionTime: COPIED, startTime: COPIED }, audit: AUDIT, ...status };
  return facts({
    migration: { ...base, status: known },
    core: { kind: 'unread' },
    edge: { kind: 'unread' },
    ...changes,
  });
}
const AUDIT = { reportName: 'project-42-0a1b2c3d-audit', milestone: '' };

const own = ({ actions }: Decision): Action[] => actions.filter(({ kind }) => kind !== 'writeAudit');
const kinds = (decision: Decision) => own(decision).map(({ kind }) => kind);

const begun = (now: Facts) => ({ ...next(now, 1_000), verification: nothing });
const nothing: VerificationFacts = {
  ranges: undefined,
  jobs: [],
  checkpoints: [],
  podProblems: [],
  liveSettings: undefined,
};

const totals = (changes: Partial<VerifyTotals>): VerifyTotals => ({ ...structuredClone(NOTHING_VERIFIED), ...changes });

function checkpoint(rangeId: number, changes: Partial<VerifyTotals>, finished = true): VerifyCheckpoint {
  return {
    rangeId,
    finished,
    updatedTime: COPIED,
    instance: 'p',
    identitiesPerSecond: 0,
    totals: totals(changes),
    candidates: 0,
    sealed: '',
    sampleLines: 0,
    skippedLines: 0,
  };
}

const found = (changes: Partial<VerifyTotals['found']>) => ({ ...NOTHING_VERIFIED.found, ...changes });

/** The pods of the current comparison have ended with these totals. */
function compared(now: Facts, each: Partial<VerifyTotals>): Facts {
  const jobs = [job({ outcome: 'complete', completedIndexes: [0, 1] })];
  const checkpoints = [checkpoint(0, each), checkpoint(1, { equal: 500, matched: 500 })];
  return { ...now, verification: { ...nothing, ranges: twoRanges, jobs, checkpoints } };
}

describe('while appliers write in another region', () => {
  const reason = 'eu-west-2 has not answered for 60 s';
  const away = { regions: ['us-east-2'], home: 'eu-west-2', since: NOON, reason, appliers: 1 };
  const elsewhere = { capture: covered(), replay: following({ away }) };

  test('no comparison begins: the home region may lack what was written there', () => {
    const { status } = decide(copied({ afterCopy: 'Report' }, {}, elsewhere));
    expect(condition(status, 'Verified')).toBe('Unknown/NotVerified');
    expect(status.verification?.current).toBeUndefined();
    const back = decide(copied({ afterCopy: 'Report' }, {}, { ...elsewhere, replay: following() }));
    expect(condition(back.status, 'Verified')).toBe('Unknown/Comparing');
  });

  test('a comparison that has begun pauses until appliers write in the home region again', () => {
    const planning = begun(copied({ afterCopy: 'Report' }, {}, { ...elsewhere, replay: following() }));
    const running = { ...planning, verification: { ...nothing, ranges: twoRanges, jobs: [job()] } };
    expect(kinds(decide({ ...running, replay: following({ away }) }))).toEqual(['adjustJob']);
    const held = { ...running, verification: { ...running.verification, jobs: [job({ suspended: true })] } };
    expect(kinds(decide({ ...held, replay: following({ away }) }))).toEqual([]);
    expect(kinds(decide(held))).toContain('adjustJob');
  });
});

describe('after the copy', () => {
  test('both stores are compared: the comparison is planned, started with its settings, and ends with a report', () => {
    const first = decide(copied({ afterCopy: 'Report' }));
    expect(kinds(first)).toEqual([]);
    expect(condition(first.status, 'Verified')).toBe('Unknown/Comparing');
    expect(first.status.verification?.current).toMatchObject({ run: 1, trigger: 'AfterCopy', mode: 'Report' });
    const planning = begun(copied({ afterCopy: 'Report' }));
    expect(own(decide(planning))).toEqual([{ kind: 'planRanges', operation: 'verify-1' }]);
    const planned = { ...planning, verification: { ...nothing, ranges: twoRanges } };
    const [settings, start] = own(decide(planned));
    expect(settings).toMatchObject({
      kind: 'writeVerifySettings',
      settings: { maxReadUnitsPerSecond: 2000, appliedUntil: 'none' },
    });
    expect(start).toMatchObject({
      kind: 'createJob',
      rangeIds: [0, 1],
      comparison: { mode: 'Report', authority: 'Core' },
    });
    const concluding = compared(planned, { equal: 490, skipped: 10, matched: 490 });
    const concluded = decide(concluding);
    expect(kinds(concluded)).toEqual(['writeVerificationReport']);
    expect(condition(concluded.status, 'Verified')).toBe('True/NothingDiffers');
    expect(concluded.status.verification?.last).toMatchObject({
      identitiesTotal: 1000,
      identitiesEqual: 990,
      identitiesSkipped: 10,
    });
    const resting = decide(next(concluding, 1_000));
    expect(kinds(resting)).toEqual(['retireWork']);
    const rested = decide({ ...next(concluding, 1_000), verification: { ...nothing } });
    expect(kinds(rested)).toEqual([]);
    expect(rested.nextTime).toBeUndefined();
    expect(condition(rested.status, 'Verified')).toBe('True/NothingDiffers');
  });

  test.each(['missing', 'extra', 'differing', 'malformed', 'rows', 'regions'] as const)(
    '%s documents are findings',
    (kind) => {
      const { status } = decide(compared(begun(copied({ afterCopy: 'Report' })), { found: found({ [kind]: 1 }) }));
      expect(condition(status, 'Verified')).toBe('False/DifferencesFound');
      expect(status.verification?.last?.findings).toEqual({ [kind]: 1 });
      expect(Buffer.byteLength(JSON.stringify(status))).toBeLessThan(4096);
    },
  );

  test('a repaired difference is no longer a finding', () => {
    const repaired = { found: found({ missing: 2 }), repaired: found({ missing: 2 }), repairs: 2 };
    const { status } = decide(compared(begun(copied({ afterCopy: 'Repair' })), repaired));
    expect(condition(status, 'Verified')).toBe('True/NothingDiffers');
    expect(status.verification?.last).toMatchObject({ repaired: 2, mode: 'Repair' });
  });

  test('nothing is compared if the spec says Never', () => {
    const { status, nextTime } = decide(copied({ afterCopy: 'Never' }));
    expect(condition(status, 'Verified')).toBe('Unknown/SwitchedOff');
    expect(status.verification).toBeUndefined();
    expect(nextTime).toBeUndefined();
  });

  test('spec.suspend stops the pods, and no comparison begins while it is set', () => {
    const running = { ...begun(copied({ afterCopy: 'Report' })) };
    const work = { ...nothing, ranges: twoRanges, jobs: [job()] };
    const spec = specSchema.parse({ ...running.migration.spec, suspend: true });
    const suspended = { ...running, migration: { ...running.migration, spec }, verification: work };
    expect(own(decide(suspended))).toContainEqual(expect.objectContaining({ kind: 'adjustJob', suspend: true }));
    const notBegun = copied({ afterCopy: 'Report' });
    expect(decide({ ...notBegun, migration: { ...notBegun.migration, spec } }).status.verification).toBeUndefined();
  });

  test('failed ranges are retried later, and the status says why', () => {
    const failed = job({ outcome: 'failed', failedIndexes: [1], failure: 'FailedIndexes' });
    const now = begun(copied({ afterCopy: 'Report' }));
    const work = { ...nothing, ranges: twoRanges, jobs: [failed], checkpoints: [checkpoint(0, { equal: 500 })] };
    const waiting = decide({ ...now, verification: work });
    expect(condition(waiting.status, 'Degraded')).toBe('True/ComparisonFailed');
    const { status, nextTime = 0 } = waiting;
    expect(nextTime - now.now).toBe(15_000);
    const again = decide({ ...now, now: nextTime, verification: work, migration: { ...now.migration, status } });
    expect(own(again).at(-1)).toMatchObject({ kind: 'createJob', attempt: 2, rangeIds: [1] });
  });
});

describe('after the first comparison', () => {
  const last = decide(compared(begun(copied({ afterCopy: 'Report' })), { equal: 500 })).status.verification!;

  test.for<[string, number | undefined, number | null]>([
    ["by Core's clock", -300_000, NOON - 60_000 - 300_000],
    ["not while Core's clock is not known", undefined, null],
  ])('the pods receive the time until which writes are applied: %s', ([, coreAhead, appliedUntil]) => {
    // On tables of several regions something is always rechecked, and so under way.
    const replay = following({ takenUntil: NOON, underWay: 3, settledUntil: NOON - 60_000 });
    const planning = begun(copied({ afterCopy: 'Report' }));
    const verification = { ...nothing, ranges: twoRanges };
    const { actions } = decide({ ...planning, verification, replay, capture: covered(), coreAhead });
    const written = actions.find(({ kind }) => kind === 'writeVerifySettings');
    expect(written).toMatchObject({ settings: { appliedUntil } });
    expect(written).not.toHaveProperty('settings.isClosed');
  });

  test.each([
    ['verify-1', 'Report'],
    ['repair-1', 'Repair'],
  ])('spec.retry %s requests a comparison, once', (retry, mode) => {
    const asked = copied({}, { verification: last });
    asked.migration.spec!.retry = retry;
    const { status } = decide(asked);
    expect(status.verification?.current).toMatchObject({ run: 2, trigger: 'Requested', mode, token: retry });
    const done = decide(compared(begun(asked), { equal: 500 }));
    expect(done.status.verification).toMatchObject({ token: retry, last: { run: 2 } });
    const after = { ...asked, migration: { ...asked.migration, status: done.status }, verification: { ...nothing } };
    expect(decide(after).status.verification?.current).toBeUndefined();
  });

  test('possibly missed writes are followed by a comparison that only reports, and then the gap is closed', () => {
    const gap: GapStatus = { from: '2026-05-04T12:10:00Z', until: '2026-05-04T12:20:00Z', reason: 'spoolFull' };
    const early = copied({ afterCopy: 'Repair' }, { verification: last, gaps: [gap] }, { now: Date.parse(gap.until!) });
    expect(condition(decide(early).status, 'Degraded')).toBe('True/CoverageGap');
    expect(decide(early).status.verification?.current).toBeUndefined();
    const due = { ...early, now: early.now + 65_000 };
    expect(decide(due).status.verification?.current).toMatchObject({ trigger: 'CoverageGap', mode: 'Report' });
    const { status } = decide(compared(begun(due), { equal: 500 }));
    expect(condition(status, 'Degraded')).toBe('False/AsExpected');
    const after = { ...due, migration: { ...due.migration, status }, verification: { ...nothing } };
    expect(decide(after).status.verification?.current).toBeUndefined();
  });

  test.for([
    [1, 'True/CoverageGap'],
    [64, 'True/CoverageGap'],
    [65, 'False/AsExpected'],
  ] as const)('a comparison that begins %i s after the end of a gap leaves %s', ([seconds, degraded]) => {
    const gap: GapStatus = { from: '2026-05-04T12:10:00Z', until: '2026-05-04T12:20:00Z', reason: 'spoolFull' };
    const now = Date.parse(gap.until!) + seconds * 1000;
    const asked = copied({}, { verification: last, gaps: [gap] }, { now });
    asked.migration.spec!.retry = 'verify-1';
    const { status } = decide(compared(begun(asked), { equal: 500 }));
    expect(condition(status, 'Degraded')).toBe(degraded);
  });

  test('a comparison that goes on after the window has closed changes nothing in Edge any more', () => {
    const now = Date.parse(DEADLINE) + 5_000;
    const replay = following({ takenUntil: now - 1_000, underWay: 0 });
    const capture = { ...covered(), allSentUntil: now - 1_000 };
    const planning = begun(copied({ afterCopy: 'Repair' }));
    expect(planning.migration.status.verification?.current).toMatchObject({ authority: 'Core', mode: 'Repair' });
    planning.migration.spec!.replay.windowSeconds = 3_600;
    const { actions } = decide({ ...planning, verification: { ...nothing, ranges: twoRanges }, now, replay, capture });
    const written = actions.find(({ kind }) => kind === 'writeVerifySettings');
    expect(written).toMatchObject({ settings: { appliedUntil: 'none', isClosed: true } });
  });

  test('at the deadline differing documents are for information, but missing or extra ones are not', () => {
    const closed = (each: Partial<VerifyTotals>) => {
      const replay = {
        kind: 'observed' as const,
        ...{
          appliers: 1,
          outage: undefined,
          takenUntil: Date.parse(DEADLINE) + 1_000,
          underWay: 0,
          settledUntil: undefined,
        },
        project: {
          applied: 1,
          unchanged: 0,
          dropped: 0,
          parked: 0,
          failed: [],
          unresolved: [],
          excess: [],
          unstorable: [],
          oldestObservedTime: undefined,
          lastAppliedTime: undefined,
        },
      };
      const capture = {
        kind: 'observed' as const,
        ...{ covered: true, reason: 'AllCovered', message: '', gaps: [], speaking: [] },
        allSentUntil: Date.parse(DEADLINE) + 1_000,
      };
      const now = copied(
        { atDeadline: 'Repair' },
        { verification: last },
        { now: Date.parse(DEADLINE) + 5_000, capture, replay },
      );
      now.migration.spec!.replay.windowSeconds = 3_600;
      const begins = next(now, 0);
      expect(begins.migration.status.verification?.current).toMatchObject({
        trigger: 'AtDeadline',
        authority: 'Edge',
        mode: 'Repair',
      });
      return decide(compared({ ...begins, verification: nothing }, each)).status;
    };
    const differing = closed({ found: found({ differing: 7, malformed: 1, rows: 2 }) });
    expect(condition(differing, 'Verified')).toBe('True/NothingMissing');
    expect(differing.verification).toMatchObject({ deadline: DEADLINE, last: { findings: { differing: 7 } } });
    expect(condition(closed({ found: found({ missing: 1 }) }), 'Verified')).toBe('False/DifferencesFound');
    expect(condition(closed({ found: found({ extra: 1 }) }), 'Verified')).toBe('False/DifferencesFound');
  });
});

test('the audit is updated when the copy is complete and after each comparison, and then no more', () => {
  const start = copied({ afterCopy: 'Report' });
  const isAudited = (decision: Decision) => decision.actions.some(({ kind }) => kind === 'writeAudit');
  expect(isAudited(decide(start))).toBe(true);
  const running = begun(start);
  expect(isAudited(decide(running))).toBe(false);
  const concluding = compared(running, { equal: 500 });
  expect(isAudited(decide(concluding))).toBe(true);
  expect(isAudited(decide(next(concluding, 1_000)))).toBe(false);
});
