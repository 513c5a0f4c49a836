import { type ParkedSubject, placeSubject } from '@edge-migration/contract/parked-place.ts';
import { expect, test } from 'vitest';
import { createQuota, kibOf } from './quota.ts';

const limits = { unresolvedMaxBytes: 10 * 1024, unstorableMaxBytes: 5 * 1024 };
const unresolved = (kib: number): ParkedSubject => ({ projectId: 0, reason: 'poison', retry: '-', minute: 1, kib });
const unstorable = (projectId: number, kib: number): ParkedSubject => {
  const identity = { environmentId: 3, identityId: 4, cause: 'DocumentTooLarge' };
  return { projectId, reason: 'unstorable', retry: '', identity, kib };
};

test('events of an unknown project have room up to the limit, counting those that wait already', () => {
  const quota = createQuota(limits);
  quota.notice(new Map([[placeSubject(unresolved(3)), 2]]));
  expect([3, 2, 1, 1].map((kib) => quota.take(unresolved(kib)))).toEqual([true, false, true, false]);
});

test('events that Edge cannot hold have their own room for each project', () => {
  const quota = createQuota(limits);
  quota.notice(new Map([[placeSubject(unstorable(1, 5)), 1]]));
  expect([1, 2].map((projectId) => quota.take(unstorable(projectId, 4)))).toEqual([false, true]);
  quota.notice(new Map());
  expect(quota.take(unstorable(1, 5))).toBe(true);
});

test('events parked for a project’s own state have no quota: none may be lost', () => {
  const quota = createQuota({ unresolvedMaxBytes: 1, unstorableMaxBytes: 1 });
  for (const reason of ['suspended', 'copying', 'overflow', 'poison', 'repeat'] as const)
    expect(quota.take({ projectId: 7, reason, retry: '-', kib: 64 })).toBe(true);
});

test('an event counts in whole KiB, and as at least one', () => {
  expect([0, 1, 1024, 1025].map(kibOf)).toEqual([1, 1, 1, 2]);
});

test('an event on its way during a check counts until it is known to be stored', () => {
  const quota = createQuota(limits);
  expect(quota.take(unresolved(10))).toBe(true);
  quota.begin();
  quota.notice(new Map());
  expect(quota.take(unresolved(1))).toBe(false);
  quota.settle(unresolved(10));
  quota.begin();
  quota.notice(new Map());
  expect(quota.take(unresolved(10))).toBe(true);
});
