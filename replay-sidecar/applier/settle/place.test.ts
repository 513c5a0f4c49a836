import type { EdgeMigration } from '@edge-migration/contract/edge-migration/api.ts';
import type { AdmissionDecision } from '@edge-migration/contract/edge-migration/verdict.ts';
import { type ParkReason, parsePlace, placeSubject } from '@edge-migration/contract/parked-place.ts';
import { expect, test } from 'vitest';
import { batchOf, isReleasable } from './place.ts';

const NOW = Date.parse('2026-06-01T00:00:00Z');
const APPLY: AdmissionDecision = { kind: 'apply', copying: false };
const COPYING: AdmissionDecision = { kind: 'apply', copying: true };
const SUSPENDED: AdmissionDecision = { kind: 'park', reason: 'suspended' };
const UNDECIDED: AdmissionDecision = { kind: 'park', reason: 'undecided' };
const NONE: AdmissionDecision = { kind: 'drop', reason: 'noMigration' };

test.each<[ParkReason, AdmissionDecision, boolean]>([
  ['suspended', SUSPENDED, false],
  ['suspended', UNDECIDED, true],
  ['suspended', APPLY, true],
  ['suspended', COPYING, true],
  ['suspended', NONE, true],
  ['undecided', UNDECIDED, false],
  ['undecided', APPLY, true],
  ['copying', COPYING, false],
  ['copying', SUSPENDED, false],
  ['copying', UNDECIDED, false],
  ['copying', APPLY, true],
  ['copying', NONE, true],
  ['overflow', APPLY, true],
  ['unstorable', APPLY, true],
  ['unstorable', SUSPENDED, false],
  ['unstorable', NONE, true],
  ['poison', APPLY, false],
  ['poison', SUSPENDED, false],
  ['poison', NONE, true],
])('whether a place parked as %s goes on when the verdict is %o: %s', (reason, verdict, expected) => {
  const migrations = { judge: () => verdict, find: () => undefined };
  expect(isReleasable({ projectId: 42, reason, retry: '-' }, migrations, NOW)).toBe(expected);
});

test('poison goes on with another spec.retry, an event of an unknown project never', () => {
  const migrations = { judge: () => APPLY, find: () => ({ spec: { retry: 'v2' } }) as EdgeMigration };
  const release = (projectId: number, reason: ParkReason, retry: string) =>
    isReleasable({ projectId, reason, retry }, migrations, NOW);
  expect(release(42, 'poison', 'v1')).toBe(true);
  expect(release(42, 'poison', 'v2')).toBe(false);
  expect(release(0, 'poison', 'v1')).toBe(false);
});

test('poison that is to be given up is not retried before: the operator would not see it', () => {
  const migrations = { judge: () => APPLY, find: () => ({ spec: { retry: 'drop-1' } }) as EdgeMigration };
  const place = { projectId: 42, reason: 'poison', retry: 'v1' } as const;
  expect(isReleasable({ ...place, minute: 29_671_200 }, migrations, NOW)).toBe(false);
  expect(isReleasable(place, migrations, NOW)).toBe(true);
});

test('an event that Edge cannot hold is not retried once the window has closed, although it came before that', () => {
  const closed = (began: number): AdmissionDecision => (began < NOW ? APPLY : { kind: 'drop', reason: 'windowClosed' });
  const migrations = { judge: (_: number, began: number) => closed(began), find: () => undefined };
  const place = { projectId: 42, reason: 'unstorable', retry: '' } as const;
  expect(isReleasable(place, migrations, NOW - 1)).toBe(true);
  expect(isReleasable(place, migrations, NOW)).toBe(false);
});

test('a place is read back from its subject, whatever characters spec.retry has', () => {
  for (const place of [
    { projectId: 42, reason: 'suspended', retry: '' },
    { projectId: 0, reason: 'poison', retry: '-' },
    { projectId: 7, reason: 'poison', retry: 'a.b-c_d' },
    { projectId: 7, reason: 'poison', retry: '12.3', minute: 29_671_200, isUnreadable: false, kib: 64 },
    { projectId: 0, reason: 'poison', retry: '-', minute: 29_671_200, isUnreadable: true, kib: 1 },
    { projectId: 7, reason: 'excess', retry: '29671200', minute: 29_671_200 },
    { projectId: 7, reason: 'repeat', retry: '1780272000', due: 1_780_272_000 },
    {
      projectId: 7,
      reason: 'unstorable',
      retry: '3.4.NumberTooPrecise',
      identity: { environmentId: 3, identityId: 4, cause: 'NumberTooPrecise' },
    },
  ] as const) {
    expect(parsePlace(placeSubject(place))).toEqual(place);
  }
});

test('an event to be handled again goes on at its time and not before, regardless of its migration', () => {
  for (const verdict of [APPLY, SUSPENDED, NONE]) {
    const migrations = { judge: () => verdict, find: () => undefined };
    for (const projectId of [42, 0]) {
      const place = { projectId, reason: 'repeat', retry: '', due: NOW / 1000 } as const;
      expect(isReleasable(place, migrations, NOW - 1)).toBe(false);
      expect(isReleasable(place, migrations, NOW)).toBe(true);
    }
  }
});

test.each([
  [undefined, 256],
  [1, 256],
  [64, 16],
  [5000, 1],
])('events that count as %o KiB each come back %i at once', (kib, events) => {
  expect(batchOf({ ...(kib !== undefined && { kib }) })).toBe(events);
});
