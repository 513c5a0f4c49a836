import { describe, expect, test } from 'vitest';
import { decide } from './decide.ts';
import type { Facts } from './facts.ts';
import { checkpoint, condition, copiedWork, facts, migration, NOON, next, work } from './testing/facts.ts';

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
