import { describe, expect, test } from 'vitest';
import { NOTHING_VERIFIED, type VerifyTotals } from '../verify/totals.ts';
import { decide } from './decide.ts';
import type { Facts, VerificationFacts } from './facts.ts';
import { chooseStage } from './readiness/handover.ts';
import { restoreStatus } from './record.ts';
import {
  condition,
  copiedWork,
  edgeReady,
  facts,
  job,
  migration,
  NOON,
  next,
  twoRanges,
  visitedFacts,
  work,
} from './testing/facts.ts';

const TABLE = 'environments-v2';
const configured = (overridesTable: string | undefined) => ({ ...facts().settings, overridesTable });

/** A migration whose pods have just copied everything, each range with its rows in this table, or in none. */
function ended(tables: (string | undefined)[], settings = configured(TABLE)): Facts {
  const copying = visitedFacts({ readiness: edgeReady(), work: work({ ranges: twoRanges, jobs: [job()] }) });
  const done = copiedWork();
  const checkpoints = done.checkpoints.map((each, index) => ({ ...each, overridesTable: tables[index] }));
  return { ...copying, now: NOON + 60_000, work: { ...done, checkpoints }, settings };
}
const recorded = (now: Facts) => decide(now).status.copy?.overridesTable;
const stageOf = ({ migration: { spec, status }, settings }: Facts) =>
  chooseStage({ spec, status }, { mode: 'Run', when: 'BeforeCopy' }, settings);
const say = (now: Facts) => {
  const { status } = decide(now);
  const { message = '' } = status.conditions?.find(({ type }) => type === 'EdgeReady') ?? {};
  return { condition: condition(status, 'EdgeReady'), message };
};

describe('the fact that every override has its row', () => {
  test.for<[string, (string | undefined)[], string | undefined]>([
    ['every range was copied with the table', [TABLE, TABLE], TABLE],
    ['no range was', [undefined, undefined], undefined],
    ['one range was copied before the table was configured', [undefined, TABLE], undefined],
    ['one range has its rows in another table', ['former', TABLE], undefined],
  ])('is recorded with the copy according to its ranges: %s', ([, tables, expected]) => {
    expect(recorded(ended(tables))).toBe(expected);
  });

  test('is true of a project without identities', () => {
    const nothing = work({ ranges: [] });
    expect(recorded({ ...visitedFacts({ settings: configured(TABLE) }), work: nothing })).toBe(TABLE);
  });

  test('makes Flagsmith take the overrides as complete; otherwise only its _META rows are handed over', () => {
    expect(stageOf(next(ended([TABLE, TABLE]), 1_000))).toBe('after');
    expect(stageOf(next(ended([undefined, TABLE]), 1_000))).toBe('before');
    expect(stageOf(next(ended([undefined, undefined], configured(undefined)), 1_000))).toBe('after');
  });

  test('is no longer true once the table was renamed, or was not configured for a time', () => {
    const copied = next(ended([TABLE, TABLE]), 1_000);
    const renamed = next(copied, 1_000, { settings: configured('other') });
    expect(stageOf(next(renamed, 0))).toBe('before');
    const without = next(copied, 1_000, { settings: configured(undefined) });
    const again = next(without, 1_000, { settings: configured(TABLE) });
    expect(stageOf(again)).toBe('before');
    expect(say(again).condition).toBe('False/OverridesNotShown');
  });

  test('does not become true for a table configured after the copy, to which replay writes some rows', () => {
    const copied = next(ended([undefined, undefined], configured(undefined)), 1_000);
    expect(say(copied).condition).toBe('True/Complete');
    const late = { ...copied, settings: configured(TABLE) };
    const { condition: ready, message } = say(late);
    expect(ready).toBe('False/OverridesNotShown');
    expect(message).toMatch(/table environments-v2 may lack rows of identity overrides.*set spec.retry to repair-/);
    expect(decide(late).actions.map(({ kind }) => kind)).not.toContain('markCompleted');
  });

  test("neither becomes true by an older status's record, nor is lost with a status", () => {
    const copied = next(ended([TABLE, TABLE]), 1_000);
    const { record } = decide(ended([TABLE, TABLE]));
    expect(restoreStatus({ ...copied.migration, status: {} }, record).status.copy?.overridesTable).toBe(TABLE);
    const renamed = { ...copied, settings: configured('other') };
    const { record: newer } = decide(renamed);
    expect(restoreStatus(copied.migration, newer).status.copy).not.toHaveProperty('overridesTable');
  });
});

describe('a comparison', () => {
  const nothing: VerificationFacts = {
    ranges: undefined,
    jobs: [],
    checkpoints: [],
    podProblems: [],
    liveSettings: undefined,
  };
  const found = (changes: Partial<VerifyTotals>, table: string | undefined) => ({
    ...{ finished: true, updatedTime: new Date(NOON).toISOString(), instance: 'p', identitiesPerSecond: 0 },
    ...{ candidates: 0, sealed: '', sampleLines: 0, skippedLines: 0 },
    totals: { ...structuredClone(NOTHING_VERIFIED), ...changes },
    ...(table && { overridesTable: table }),
  });

  /** A requested repair after a copy without rows that has just ended. */
  function compared(totals: Partial<VerifyTotals>, tables: (string | undefined)[]): Facts {
    const copied = next(ended([undefined, undefined]), 1_000);
    const { spec } = migration({}, { retry: 'repair-1', verify: { afterCopy: 'Never', atDeadline: 'Never' } });
    const begun = next({ ...copied, migration: { ...copied.migration, spec } }, 1_000, { verification: nothing });
    const checkpoints = tables.map((table, rangeId) => ({ rangeId, ...found(totals, table) }));
    const jobs = [job({ outcome: 'complete' as const, completedIndexes: [0, 1] })];
    return { ...begun, verification: { ...nothing, ranges: twoRanges, jobs, checkpoints } };
  }

  test('proves that every override has its row if it checked all rows, and none is still missing or wrong', () => {
    const rows = { ...NOTHING_VERIFIED.found, rows: 3 };
    const repaired = compared({ found: rows, repaired: rows }, [TABLE, TABLE]);
    expect(say(repaired).condition).toBe('True/Complete');
    expect(stageOf(next(repaired, 1_000))).toBe('after');
    expect(recorded(next(next(repaired, 1_000), 1_000))).toBe(TABLE);
  });

  test.for<[string, Partial<VerifyTotals>, (string | undefined)[]]>([
    ['left rows that are wrong', { found: { ...NOTHING_VERIFIED.found, rows: 1 } }, [TABLE, TABLE]],
    ['did not read rows', {}, [undefined, undefined]],
    ['read another table for a time', {}, ['former', TABLE]],
  ])('does not prove that every override has its row if it %s', ([, totals, tables]) => {
    const now = compared(totals, tables);
    expect(condition(decide(now).status, 'Verified')).not.toBe('Unknown/Comparing');
    expect(say(now).condition).toBe('False/OverridesNotShown');
    expect(stageOf(next(now, 1_000))).toBe('before');
  });
});

test('override rows of unknown completeness at the end of the window are written by another copy', () => {
  const copied = next(ended([undefined, undefined]), 1_000);
  const closed = next(copied, 1_000, { capture: { kind: 'disabled' } });
  const conditions = closed.migration.status.conditions?.map((each) =>
    each.type === 'Succeeded' ? { ...each, status: 'True' as const, reason: 'WindowClosed' } : each,
  );
  const status = { ...closed.migration.status, conditions: conditions ?? [] };
  expect(say({ ...closed, migration: { ...closed.migration, status } }).message).toMatch(/apply it again/);
});
