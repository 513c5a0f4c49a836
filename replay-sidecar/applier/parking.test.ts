import type { EdgeMigration } from '@edge-migration/operator/edge-migration/api.ts';
import { expect, test } from 'vitest';
import { isReleasable, type ParkReason, parsePlace, placeSubject } from './parking.ts';
import type { Verdict } from './view.ts';

const APPLY: Verdict = { kind: 'apply', copying: false };
const COPYING: Verdict = { kind: 'apply', copying: true };
const SUSPENDED: Verdict = { kind: 'park', reason: 'suspended' };
const UNDECIDED: Verdict = { kind: 'park', reason: 'undecided' };
const NONE: Verdict = { kind: 'drop', reason: 'noMigration' };

test.each<[ParkReason, Verdict, boolean]>([
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
  ['poison', APPLY, false],
  ['poison', SUSPENDED, false],
  ['poison', NONE, true],
])('parked as %s, and now %o: goes on? %s', (reason, verdict, expected) => {
  const migrations = { judge: () => verdict, find: () => undefined };
  expect(isReleasable({ projectId: 42, reason, retry: '-' }, migrations)).toBe(expected);
});

test('poison goes on with another spec.retry, an unknown project never', () => {
  const migrations = { judge: () => APPLY, find: () => ({ spec: { retry: 'v2' } }) as EdgeMigration };
  const release = (projectId: number, reason: ParkReason, retry: string) =>
    isReleasable({ projectId, reason, retry }, migrations);
  expect(release(42, 'poison', 'v1')).toBe(true);
  expect(release(42, 'poison', 'v2')).toBe(false);
  expect(release(0, 'poison', 'v1')).toBe(false);
});

test('a place is read back from its subject, whatever characters spec.retry has', () => {
  for (const place of [
    { projectId: 42, reason: 'suspended', retry: '' },
    { projectId: 0, reason: 'poison', retry: '-' },
    { projectId: 7, reason: 'poison', retry: 'a.b-c_d' },
  ] as const) {
    expect(parsePlace(placeSubject(place))).toEqual(place);
  }
});
