import { expect, test } from 'vitest';
import { decide } from './decide.ts';
import { describeChanges } from './events.ts';
import { checkpoint, type facts, job, next, twoRanges, visitedFacts, work } from './testing/facts.ts';

const story = (from: ReturnType<typeof facts>) =>
  describeChanges(from.migration, decide(from).status).map(({ type, reason, action }) => `${type} ${action} ${reason}`);

test('the Kubernetes events of a migration tell its story without repetition', () => {
  const planned = visitedFacts({ work: work({ ranges: twoRanges }) });
  expect(story({ ...planned, migration: { ...planned.migration, status: {} } })).toEqual([
    'Normal Validate Accepted',
    'Normal Copy Copying',
  ]);
  const running = next(planned, 0, { work: work({ ranges: twoRanges, jobs: [job()] }) });
  expect(story(running)).toEqual([]);
  const failed = job({ outcome: 'failed', completedIndexes: [0], failedIndexes: [1] });
  const broken = next(running, 0, { work: work({ ranges: twoRanges, jobs: [failed] }) });
  expect(story(broken)).toEqual(['Normal Copy RangesFailed', 'Warning Reconcile RangesFailed']);
  const again = next(broken, 15_000, {});
  expect(story(again)).toEqual(['Normal Copy Copying', 'Normal Reconcile Recovered']);
  const done = [0, 1].map((rangeId) => checkpoint(rangeId, { read: 500, inserted: 500 }, { finished: true }));
  const ended = job({ attempt: 2, rangeIds: [1], outcome: 'complete', completedIndexes: [0] });
  const settled = next(again, 60_000, { work: work({ ranges: twoRanges, jobs: [failed, ended], checkpoints: done }) });
  expect(story(settled)).toEqual(['Normal Copy Complete', 'Normal Finish CaptureDisabled']);
});
