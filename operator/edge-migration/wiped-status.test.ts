import type { LastComparison, Status } from '@edge-migration/contract/edge-migration/api.ts';
import { describe, expect, test } from 'vitest';
import { decide } from './decide.ts';
import type { Facts } from './facts.ts';
import { restoreStatus } from './record.ts';
import {
  checkpoint,
  condition,
  copiedWork,
  covered,
  facts,
  following,
  migration,
  NOON,
  next,
  work,
} from './testing/facts.ts';

const at = (seconds: number) => new Date(NOON + seconds * 1000).toISOString();

/** A copy whose ranges are done and settled, with an identity that Edge cannot hold. */
function done(changes: Partial<Facts> = {}): Facts {
  const skipped = { finished: true, skippedByReason: { DocumentTooLarge: 1 } };
  const checkpoints = [0, 1].map((rangeId) => checkpoint(rangeId, { read: 500, inserted: 499, skipped: 1 }, skipped));
  return facts({ now: NOON + 60_000, work: { ...copiedWork(), checkpoints }, ...changes });
}

const kinds = ({ actions }: ReturnType<typeof decide>) => actions.map(({ kind }) => kind);

describe('a status that is removed after the last range was copied', () => {
  test('does not prevent the list of skipped identities', () => {
    const wiped = done();
    const passes = [decide(wiped), decide(next(wiped, 1000))];
    const first = passes.findIndex(({ status }) => condition(status, 'Copied') === 'True/Complete');
    expect(first).toBe(0);
    expect(kinds(passes[first]!)).toEqual(expect.arrayContaining(['writeSkippedReport', 'markCompleted']));
  });

  test("does not prevent a plan's list of identities that cannot be migrated", () => {
    const planned = done({ migration: migration({}, { mode: 'Plan' }) });
    const decision = decide(planned);
    expect(decision.status.plan?.completionTime).toBeDefined();
    expect(kinds(decision)).toContain('writeSkippedReport');
  });
});

test('nothing begins before every condition was published once', () => {
  expect(kinds(decide(facts({ work: work() })))).toEqual([]);
});

describe('a status removed or reverted after the cleanup of the copy', () => {
  const window = { replay: { windowSeconds: 3600 } };
  const gap = { from: NOON + 70_000, until: NOON + 71_000, reason: 'spoolFull', podName: 'api-1' };
  /** Followed since noon; later its window closes. */
  function followed(seconds: number): Facts {
    const capture = covered({ gaps: [gap], allSentUntil: NOON + 1e9 });
    const replay = following({ takenUntil: NOON + 1e9 });
    const copied = done({ capture, replay, migration: migration({}, window) });
    const passes = [60_000, 0, seconds * 1000, 0];
    return { ...passes.reduce((last, pause) => recorded(next(last, pause), last), copied), work: work() };
  }
  const recorded = (now: Facts, before: Facts): Facts => ({ ...now, record: decide(before).record ?? before.record });
  const wiped = (now: Facts, status: Status): Facts => ({
    ...now,
    migration: restoreStatus({ ...now.migration, status }, now.record),
  });

  test.each([60, 7200])('is restored after %i s, and nothing is copied again', (seconds) => {
    const facts = followed(seconds);
    const before = facts.migration.status;
    expect(condition(before, 'Succeeded')).toBe(seconds > 3600 ? 'True/WindowClosed' : 'Unknown/Replaying');
    expect(before.gaps).toHaveLength(1);
    for (const left of [{}, { ...before, copy: { startTime: before.copy!.startTime! } }, { gaps: [] }]) {
      const { status, actions } = decide(wiped(facts, left));
      expect(actions.filter((action) => 'operation' in action && action.operation === 'copy')).toEqual([]);
      for (const part of ['copy', 'skipped', 'gaps', 'verification'] as const)
        expect(status[part]).toEqual(before[part]);
      expect(status.replay?.deadline).toBe(before.replay?.deadline);
      for (const type of ['Copied', 'Replaying', 'Succeeded'])
        expect(condition(status, type)).toBe(condition(before, type));
    }
  });

  /** The present facts with an earlier or changed status. */
  const putBack = (now: Facts, change: (status: Status) => Status): Status =>
    decide(wiped(now, change(now.migration.status))).status;

  test('has its gaps again, including those that an edit removed one by one', () => {
    const now = followed(60);
    const { gaps } = now.migration.status;
    expect(gaps).toHaveLength(1);
    const unseen = { ...now, capture: covered({ allSentUntil: NOON + 1e9 }) };
    expect(putBack(unseen, (status) => ({ ...status, gaps: [] })).gaps).toEqual(gaps);
    const { gaps: _, ...without } = now.migration.status;
    expect(putBack(unseen, () => without).gaps).toEqual(gaps);
  });

  test('does not repeat a gap that was joined with others since', () => {
    const many = [1, 2, 3, 4, 5, 6, 7, 8].map((pod) => ({
      from: NOON + 70_000 + pod * 5_000,
      until: NOON + 71_000 + pod * 5_000,
      reason: 'spoolFull',
      podName: `api-${pod}`,
    }));
    const before = followed(60);
    const some = { ...before, capture: covered({ gaps: many.slice(0, 4), allSentUntil: NOON + 1e9 }) };
    const older = decide(some).status;
    const all = { ...some, capture: covered({ gaps: many, allSentUntil: NOON + 1e9 }) };
    const joined = recorded(next(all, 0), all);
    expect(joined.migration.status.gaps?.[0]).toMatchObject({ reason: 'several' });
    expect(putBack(joined, () => older).gaps).toEqual(joined.migration.status.gaps);
  });

  test('contains the findings of the last comparison, not of the previous one', () => {
    const counts = {
      identitiesTotal: 2,
      documentsTotal: 2,
      coreChecksum: '0',
      edgeChecksum: '0',
      reportName: 'report',
    };
    const run = { trigger: 'Requested', mode: 'Report', authority: 'Core', startTime: at(1), completionTime: at(2) };
    const compared = (number: number, missing: number) =>
      ({ ...run, ...counts, run: number, ...(missing > 0 && { findings: { missing } }) }) as LastComparison;
    const withLast = (facts: Facts, last: LastComparison): Facts => {
      const status = { ...facts.migration.status, verification: { last, coveredTime: at(100) } };
      const now = { ...facts, migration: { ...facts.migration, status } };
      return recorded(next(now, 0), now);
    };
    const before = withLast(followed(60), compared(1, 0));
    const after = withLast(before, compared(2, 1));
    expect(condition(before.migration.status, 'Verified')).toBe('True/NothingDiffers');
    const status = putBack(after, () => before.migration.status);
    expect(condition(status, 'Verified')).toBe('False/DifferencesFound');
    expect(status.verification?.last?.run).toBe(2);
    const edited = putBack(after, (now) => ({ ...now, conditions: before.migration.status.conditions! }));
    expect(condition(edited, 'Verified')).toBe('False/DifferencesFound');
  });

  test('stays closed if the window was already closed, although nothing can be read any more', () => {
    const closed = followed(7200);
    const { status } = followed(60).migration;
    const replay = { kind: 'unknown', reason: 'StreamUnreachable', message: 'gone' } as const;
    expect(
      condition(
        putBack({ ...closed, replay }, () => status),
        'Succeeded',
      ),
    ).toBe('True/WindowClosed');
  });

  describe('while Core cannot be read', () => {
    const core = { kind: 'problem', reason: 'CoreUnreachable', message: 'no answer' } as const;

    test('does not succeed without capture once capture is switched on', () => {
      const off = { ...followed(60), capture: { kind: 'disabled' } as const };
      const uncaptured = recorded(next(off, 1000), off);
      const before = uncaptured.migration.status;
      expect(condition(before, 'Succeeded')).toBe('True/CaptureDisabled');
      const on = { ...uncaptured, capture: covered() };
      const captured = { ...recorded(next(on, 1000), on), core };
      expect(
        condition(
          putBack(captured, () => before),
          'Succeeded',
        ),
      ).toBe('Unknown/NotAccepted');
    });

    test('does not claim that its window has closed once the window is longer', () => {
      const closed = followed(7200);
      const { status } = closed.migration;
      expect(condition(decide({ ...closed, core }).status, 'Succeeded')).toBe('True/WindowClosed');
      const longer = migration({ status }, { replay: { windowSeconds: 36_000 } });
      expect(condition(decide({ ...closed, migration: longer, core }).status, 'Succeeded')).toBe('Unknown/NotAccepted');
    });
  });

  test('does not take a spec.retry again that was taken since', () => {
    const now = followed(60);
    const asked = { ...now, migration: migration({ status: now.migration.status }, { ...window, retry: 'drop-1' }) };
    const taken = recorded(next(asked, 0), asked);
    expect(taken.migration.status.observedRetry).toBe('drop-1');
    const restored = wiped(taken, now.migration.status);
    expect(restored.migration.status.observedRetry).toBe('drop-1');
  });

  test('keeps the deadline from which on events may have been dropped when the window is extended meanwhile', () => {
    const closed = followed(7200);
    const longer = migration({ status: closed.migration.status }, { replay: { windowSeconds: 36_000 } });
    const edited = { ...closed, migration: longer };
    const { deadline: _, ...replay } = closed.migration.status.replay!;
    const { gaps } = putBack(edited, (status) => ({ ...status, replay: { ...replay, deadline: at(36_060) } }));
    expect(gaps?.map(({ reason }) => reason)).toContain('windowReopened');
  });

  test('contains the time since when nothing was captured', () => {
    const off = { ...followed(60), capture: { kind: 'disabled' } as const };
    const uncaptured = recorded(next(off, 1000), off);
    const on = { ...uncaptured, now: uncaptured.now + 60_000, capture: covered() };
    const { gaps } = putBack(on, () => off.migration.status);
    expect(gaps?.map(({ reason }) => reason)).toContain('captureDisabled');
  });

  test('does not count as the outcome of a comparison that begins now', () => {
    const now = followed(60);
    const current = { run: 3, trigger: 'Requested', mode: 'Report', authority: 'Core', startTime: at(10) } as const;
    const status = { ...now.migration.status, verification: { current: { ...current, progress: '1 of 2' } } };
    const comparing = { ...now, migration: { ...now.migration, status } };
    const after = decide(wiped(recorded(comparing, comparing), {})).status;
    expect(after.verification?.current).toEqual(current);
  });

  test('is used unchanged if it has everything that was recorded', () => {
    const now = followed(60);
    expect(restoreStatus(now.migration, now.record)).toBe(now.migration);
    expect(decide(now).record).toBeUndefined();
  });
});
