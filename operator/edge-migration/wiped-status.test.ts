import { describe, expect, test } from 'vitest';
import type { Status } from './api.ts';
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
  test('does not keep the skipped identities from being listed', () => {
    const wiped = done();
    const passes = [decide(wiped), decide(next(wiped, 1000))];
    const first = passes.findIndex(({ status }) => condition(status, 'Copied') === 'True/Complete');
    expect(first).toBe(0);
    expect(kinds(passes[first]!)).toEqual(expect.arrayContaining(['writeSkippedReport', 'markCompleted']));
  });

  test('does not keep a plan from listing what cannot be migrated', () => {
    const planned = done({ migration: migration({}, { mode: 'Plan' }) });
    const decision = decide(planned);
    expect(decision.status.plan?.completionTime).toBeDefined();
    expect(kinds(decision)).toContain('writeSkippedReport');
  });
});

test('nothing begins before every condition was said once', () => {
  expect(kinds(decide(facts({ work: work() })))).toEqual([]);
});

describe('once the copy is let go of, a status that is removed or put back to an older one', () => {
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

  test.each([60, 7200])('%i s after it is the same again, and nothing is copied once more', (seconds) => {
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

  test('is not taken for the outcome of a comparison that begins now', () => {
    const now = followed(60);
    const current = { run: 3, trigger: 'Requested', mode: 'Report', moment: 'AfterCopy', startTime: at(10) } as const;
    const status = { ...now.migration.status, verification: { current: { ...current, progress: '1 of 2' } } };
    const comparing = { ...now, migration: { ...now.migration, status } };
    const after = decide(wiped(recorded(comparing, comparing), {})).status;
    expect(after.verification?.current).toEqual(current);
  });

  test('counts where it says all that was recorded', () => {
    const now = followed(60);
    expect(restoreStatus(now.migration, now.record)).toBe(now.migration);
    expect(decide(now).record).toBeUndefined();
  });
});
