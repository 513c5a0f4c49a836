import { expect, test } from 'vitest';
import { decide } from './decide.ts';
import { checkpoint, job, NOON, twoRanges, visitedFacts, work } from './testing/facts.ts';

test('the status stays small however long its messages are, also when the audit is first named in it', () => {
  const checkpoints = [0, 1].map((rangeId) => checkpoint(rangeId, { read: 500, inserted: 500 }, { finished: true }));
  const jobs = [job({ outcome: 'complete', endedTime: NOON, completedIndexes: [0, 1] })];
  const copied = { ...visitedFacts({ work: work({ ranges: twoRanges, jobs, checkpoints }) }), now: NOON + 60_000 };
  for (let length = 0; length <= 1200; length += 1) {
    const unknown = { kind: 'unknown', reason: 'StreamUnreachable', message: 'x'.repeat(length) } as const;
    const { status } = decide({ ...copied, capture: unknown, replay: unknown });
    expect(status.audit).toBeDefined();
    expect(Buffer.byteLength(JSON.stringify(status)), `with messages of ${length}`).toBeLessThanOrEqual(4096);
  }
});
