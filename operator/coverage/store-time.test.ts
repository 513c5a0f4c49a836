import type { CoverageReport } from '@edge-migration/contract/reports/coverage.ts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toStoreTime } from './store-time.ts';

const NOON = Date.parse('2026-06-01T12:00:00Z');
const MINUTE = 60_000;

/** The report of a sidecar whose clock is ahead by this much; `at` is by a correct clock. */
function report(ahead: number, sentUntil: number, gap: { from: number; until: number }): CoverageReport {
  const at = (time: number) => new Date(time + ahead).toISOString();
  return {
    version: 1,
    instance: 'api-1/uid-1',
    podUid: 'uid-1',
    podName: 'api-1',
    namespace: 'flagsmith',
    node: 'node-1',
    release: '0.1.0',
    spoolId: 'spool-1',
    startedTime: at(NOON - 60 * MINUTE),
    time: at(NOON),
    spoolDepth: 0,
    spoolBytes: 0,
    oldestUnsentTime: null,
    allSentUntil: at(sentUntil),
    gaps: [{ from: at(gap.from), until: at(gap.until), reason: 'spoolFull', scope: null }],
    probe: { sequence: 1, time: at(NOON - 1000) },
    goodbye: false,
  };
}

test('the gap of a sidecar with any clock error covers the time of missed writes, within a second', () => {
  const skew = fc.integer({ min: -10 * MINUTE, max: 10 * MINUTE });
  const before = fc.integer({ min: 0, max: 10 * MINUTE });
  const way = fc.integer({ min: 0, max: 1000 });
  fc.assert(
    fc.property(skew, way, before, before, before, (ahead, underWay, sent, start, length) => {
      const gap = { from: NOON - start - length, until: NOON - start };
      const { gaps, allSentUntil } = toStoreTime(report(ahead, NOON - sent, gap), ahead - underWay);
      expect(Date.parse(gaps[0]!.from)).toBeLessThanOrEqual(gap.from + 1000);
      expect(Date.parse(gaps[0]!.until!)).toBeGreaterThanOrEqual(gap.until - 1000);
      expect(Date.parse(allSentUntil!)).toBeLessThanOrEqual(NOON - sent + 1000);
    }),
  );
});

test('the report of a sidecar with a correct clock stays unchanged', () => {
  const right = report(0, NOON, { from: NOON - MINUTE, until: NOON });
  expect(toStoreTime(right, -30)).toBe(right);
});
