import { parseStatus, type Status } from '@edge-migration/contract/edge-migration/status.ts';
import { describe, expect, test } from 'vitest';
import { decide } from './decide.ts';
import { parseRecord, recordStatus, restoreStatus } from './record.ts';
import { copiedWork, facts, migration, NOON, next, work } from './testing/facts.ts';

const at = (seconds: number) => new Date(NOON + seconds * 1000).toISOString();

const last = {
  run: 4,
  trigger: 'Requested',
  mode: 'Repair',
  authority: 'Core',
  startTime: at(100),
  completionTime: at(110),
  reportName: 'report',
  identitiesTotal: 1000,
  documentsTotal: 1000,
  coreChecksum: 'sum',
  edgeChecksum: 'sum',
} as const;

const SPEC = { retry: 'repair-1', verify: { afterCopy: 'Repair' } } as const;

/** A migration after a copy, whose repair was requested and is done. */
function repaired() {
  const first = facts({ now: NOON + 60_000, work: copiedWork(), migration: migration({}, SPEC) });
  const copied = next(first, 1000, { work: work() });
  const { status } = copied.migration;
  const verification = { copyTime: status.copy?.completionTime, coveredTime: at(100), token: 'repair-1', last };
  return { ...copied, migration: { ...copied.migration, status: { ...status, verification } as Status } };
}

/** As a release wrote it that had another name for who is the authority. */
function formerOf<Part extends Status>(part: Part) {
  const { authority: _, ...others } = last;
  return { ...part, verification: { ...part.verification, last: { ...others, moment: 'AfterCopy' } } };
}

const repeats = (each: ReturnType<typeof repaired>) =>
  decide(each).actions.filter(({ kind }) => kind === 'planRanges' || kind === 'createJob');

describe('a repair that an operator of an earlier release has done', () => {
  test('is not repeated', () => {
    const now = repaired();
    expect(repeats(now)).toEqual([]);
    const status = parseStatus(formerOf(now.migration.status));
    expect(status.verification?.last).toMatchObject({ run: 4, authority: 'Core' });
    expect(repeats({ ...now, migration: { ...now.migration, status } })).toEqual([]);
  });

  test('is known from its record, where the API server has removed the former field from the status', () => {
    const now = repaired();
    const record = parseRecord(JSON.stringify(formerOf(recordStatus(now.migration.status)!)));
    expect(record).toMatchObject({ copy: now.migration.status.copy, verification: { last: { authority: 'Core' } } });
    const { verification: _, ...pruned } = now.migration.status;
    const restored = restoreStatus({ ...now.migration, status: pruned }, record);
    expect(restored.status.verification?.last).toMatchObject(last);
    expect(repeats({ ...now, migration: restored })).toEqual([]);
  });
});

test('an operator of an earlier release finds the authority under its former name after a rollback', () => {
  const begun = facts({ now: NOON + 60_000, work: copiedWork(), migration: migration({}, SPEC) });
  const { status } = next(next(begun, 1000, { work: work() }), 1000).migration;
  expect(status.verification?.current).toMatchObject({ authority: 'Core', moment: 'AfterCopy' });
  expect(recordStatus(status)?.verification?.current).toMatchObject({ moment: 'AfterCopy' });
});
