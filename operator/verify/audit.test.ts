import { expect, test } from 'vitest';
import { decide } from '../edge-migration/decide.ts';
import { checkpoint, copiedWork, facts, NOON } from '../edge-migration/testing/facts.ts';
import { extendAudit, writeAuditText } from './audit.ts';

test('the audit has the same text for a newly decided status and for a stored one', () => {
  const checkpoints = [0, 1].map((rangeId) => checkpoint(rangeId, { read: 500, inserted: 500 }, { finished: true }));
  const done = facts({ now: NOON + 60_000, work: { ...copiedWork(), checkpoints } });
  const { status } = decide(done);
  expect(status.copy).toHaveProperty('completionTime');
  const readBack = { ...status, copy: Object.fromEntries(Object.entries(status.copy ?? {}).toReversed()) };
  const audits = [status, readBack].map((each) =>
    writeAuditText(extendAudit(undefined, { migration: done.migration, status: each, now: 'now', writers: [] })),
  );
  expect(audits[1]).toBe(audits[0]);
});
