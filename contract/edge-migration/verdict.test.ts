import { describe, expect, test } from 'vitest';
import { type EdgeMigration, type Status, specSchema } from './api.ts';
import { chooseMigration, decideAdmission, projectOf } from './verdict.ts';

const NOON = Date.parse('2026-05-04T12:00:00Z');

function migration(status: Status = {}, spec: object = {}, changes: Partial<EdgeMigration> = {}): EdgeMigration {
  return {
    namespace: 'customers',
    name: 'project-42',
    uid: 'uid-1',
    resourceVersion: '1',
    generation: 1,
    creationTime: '2026-05-04T11:00:00Z',
    deleting: false,
    spec: specSchema.parse({ projectId: 42, ...spec }),
    specProblem: undefined,
    status,
    ...changes,
  };
}

/** Conditions by type. */
function conditions(statuses: Record<string, 'True' | 'False' | 'Unknown'>): Status {
  const lastTransitionTime = '2026-05-04T11:00:00Z';
  return {
    conditions: Object.entries(statuses).map(([type, status]) => ({
      type,
      status,
      reason: 'Reason',
      message: '',
      lastTransitionTime,
    })),
  };
}

const ACCEPTED = conditions({ Accepted: 'True', Copied: 'False', Succeeded: 'Unknown' });
const COPIED = conditions({ Accepted: 'True', Copied: 'True', Succeeded: 'Unknown' });
const deadline = (milliseconds: number): Status => ({ replay: { deadline: new Date(milliseconds).toISOString() } });
const APPLY = { kind: 'apply', copying: false };
const dropped = (reason: string) => ({ kind: 'drop', reason });
const parked = (reason: string) => ({ kind: 'park', reason });

describe('the verdict on an event whose request began at noon', () => {
  test.each<[string, EdgeMigration | undefined, object]>([
    ['no EdgeMigration', undefined, dropped('noMigration')],
    ['one that is being deleted', migration(COPIED, {}, { deleting: true }), dropped('noMigration')],
    ['one whose spec cannot be read', migration(COPIED, {}, { spec: undefined }), parked('unreadable')],
    ['mode Plan', migration(COPIED, { mode: 'Plan' }), dropped('planMode')],
    ['mode Plan and suspended', migration(COPIED, { mode: 'Plan', suspend: true }), dropped('planMode')],
    ['no status yet', migration(), parked('undecided')],
    ['not accepted, nothing copied', migration(conditions({ Accepted: 'False' })), dropped('rejected')],
    [
      'no longer accepted, while it is copied',
      migration({ ...conditions({ Accepted: 'False' }), copy: { startTime: '2026-05-04T11:00:00Z' } }),
      parked('undecided'),
    ],
    [
      'no longer accepted, after it was copied',
      migration({ ...conditions({ Accepted: 'False' }), copy: { completionTime: '2026-05-04T11:00:00Z' } }),
      parked('undecided'),
    ],
    ['accepted', migration(ACCEPTED), { kind: 'apply', copying: true }],
    [
      'accepted, without condition Copied',
      migration(conditions({ Accepted: 'True' })),
      { kind: 'apply', copying: true },
    ],
    ['copied', migration(COPIED), APPLY],
    ['suspended', migration(COPIED, { suspend: true }), parked('suspended')],
    ['suspended before it was accepted', migration({}, { suspend: true }), parked('suspended')],
    ['deadline in a moment', migration({ ...COPIED, ...deadline(NOON + 1) }), APPLY],
    ['deadline at noon', migration({ ...COPIED, ...deadline(NOON) }), APPLY],
    ['deadline a moment ago', migration({ ...COPIED, ...deadline(NOON - 1) }), dropped('windowClosed')],
    [
      'deadline a moment ago, suspended',
      migration({ ...COPIED, ...deadline(NOON - 1) }, { suspend: true }),
      dropped('windowClosed'),
    ],
    [
      'succeeded, but it is late: begun before the deadline',
      migration({ ...conditions({ Accepted: 'True', Copied: 'True', Succeeded: 'True' }), ...deadline(NOON + 1) }),
      APPLY,
    ],
    [
      'succeeded without a deadline',
      migration(conditions({ Accepted: 'True', Copied: 'True', Succeeded: 'True' })),
      dropped('finished'),
    ],
    ['failed for good', migration(conditions({ Accepted: 'True', Succeeded: 'False' })), dropped('finished')],
  ])('the EdgeMigration decides about the event: %s', (_, found, verdict) => {
    expect(decideAdmission(found, NOON)).toEqual(verdict);
  });
});

describe('several EdgeMigrations of one project', () => {
  const one = migration({}, {}, { uid: 'b', namespace: 'one' });
  const older = migration({}, {}, { uid: 'c', namespace: 'older', creationTime: '2026-05-04T10:59:59Z' });
  const sameSecond = migration({}, {}, { uid: 'a', namespace: 'same second' });

  test('the oldest EdgeMigration counts, in any order; within the same second the one with the smaller uid', () => {
    expect(chooseMigration([one, older, sameSecond])).toBe(older);
    expect(chooseMigration([sameSecond, one])).toBe(sameSecond);
    expect(chooseMigration([one, sameSecond])).toBe(sameSecond);
    expect(chooseMigration([])).toBeUndefined();
  });

  test('a younger EdgeMigration does not count while the older one is being deleted', () => {
    const deleting = { ...older, deleting: true };
    expect(decideAdmission(chooseMigration([one, deleting]), NOON)).toEqual(dropped('noMigration'));
  });
});

test('the name identifies the project if the spec cannot be read', () => {
  expect(projectOf({ name: 'project-42', spec: undefined })).toBe(42);
  expect(projectOf({ name: 'other', spec: undefined })).toBe(0);
});
