import { expect, test } from 'vitest';
import { createPodStarts } from './pod-starts.ts';

const NOON = Date.parse('2026-05-04T12:00:00Z');
const at = (milliseconds: number) => new Date(NOON + milliseconds).toISOString();
const pod = (started: number, uid = 'uid-1') => ({ uid, name: uid, ready: true, runningTime: at(started) });

test('a pod runs since it was first seen running if a clock that is five minutes ahead puts its start later', () => {
  const starts = createPodStarts();
  const ahead = pod(300_000);
  expect(starts.correct([ahead], NOON)).toEqual([{ ...ahead, runningTime: at(0) }]);
  expect(starts.correct([ahead], NOON + 600_000)).toEqual([{ ...ahead, runningTime: at(0) }]);
});

test('a pod that started before it was first seen runs since its start', () => {
  expect(createPodStarts().correct([pod(-5_000)], NOON)).toEqual([pod(-5_000)]);
});

test('a pod that does not run has no start, and a deleted pod is forgotten', () => {
  const starts = createPodStarts();
  const waiting = { uid: 'uid-1', name: 'uid-1', ready: false };
  expect(starts.correct([waiting], NOON)).toEqual([waiting]);
  starts.correct([pod(60_000)], NOON);
  starts.correct([], NOON + 1_000);
  expect(starts.correct([pod(60_000)], NOON + 2_000)[0]?.runningTime).toBe(at(2_000));
});
