import { coverageGap, gapReason, MOST_SCOPES } from '@edge-migration/contract/reports/coverage.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createGapRecorder, MAX_GAPS } from './gaps.ts';
import { SLOT_BYTES } from './state.ts';

const MINUTE = 60_000;
const at = (minutes: number) => new Date(minutes * MINUTE).toISOString();

describe('the gap recorder', () => {
  it('keeps a gap open until it is closed', () => {
    const gaps = createGapRecorder(() => undefined);
    gaps.open('spoolFull', 10 * MINUTE, [{ clientKey: 'a' }]);
    expect(gaps.list()).toEqual([{ from: at(10), until: null, reason: 'spoolFull', scope: [{ clientKey: 'a' }] }]);
    gaps.close('spoolFull', 12 * MINUTE);
    expect(gaps.list()).toMatchObject([{ from: at(10), until: at(12) }]);
  });

  it('joins gaps of one reason that nearly touch, and their environments', () => {
    const gaps = createGapRecorder(() => undefined);
    gaps.mark('bodyTooLarge', 10 * MINUTE, 10 * MINUTE, [{ clientKey: 'a' }]);
    gaps.mark('bodyTooLarge', 11 * MINUTE, 11 * MINUTE, [{ clientKey: 'b' }]);
    gaps.mark('bodyTooLarge', 30 * MINUTE, 30 * MINUTE, [{ clientKey: 'c' }]);
    gaps.mark('captureFailed', 11 * MINUTE, 11 * MINUTE, [{ clientKey: 'a' }]);
    expect(gaps.list()).toMatchObject([
      { from: at(10), until: at(11), scope: [{ clientKey: 'a' }, { clientKey: 'b' }] },
      { reason: 'captureFailed' },
      { from: at(30), scope: [{ clientKey: 'c' }] },
    ]);
  });

  it('claims everything while one gap has an unknown scope, and only then', () => {
    const gaps = createGapRecorder(() => undefined);
    gaps.mark('unnamedWrite', 0, 0);
    for (const minute of [0.5, 1, 1.5]) gaps.mark('unnamedWrite', minute * MINUTE, minute * MINUTE, [{ projectId: 7 }]);
    expect(gaps.list()).toMatchObject([
      { from: at(0), until: at(0), scope: null },
      { from: at(0.5), until: at(1.5), scope: [{ projectId: 7 }] },
    ]);
  });

  it('ends everything that is open of a reason, whether or not it names a scope', () => {
    const gaps = createGapRecorder(() => undefined);
    gaps.open('spoolFull', 0, [{ clientKey: 'a' }]);
    gaps.open('spoolFull', 5);
    gaps.close('spoolFull', MINUTE);
    expect(gaps.list()).toMatchObject([{ until: at(1) }, { until: at(1) }]);
  });

  it('names as many environments as fit, and claims everything beyond', () => {
    const gaps = createGapRecorder(() => undefined);
    const name = (from: number, until: number) => {
      for (let index = from; index < until; index++) gaps.mark('bodyTooLarge', 0, 0, [{ clientKey: `key-${index}` }]);
    };
    name(0, MOST_SCOPES);
    expect(coverageGap.parse(gaps.list()[0]).scope).toHaveLength(MOST_SCOPES);
    name(MOST_SCOPES, MOST_SCOPES + 1);
    expect(coverageGap.parse(gaps.list()[0]).scope).toBeNull();
  });

  it('names no more for all gaps together than fits', () => {
    const gaps = createGapRecorder(() => undefined);
    for (let index = 0; index < 500; index++) {
      const time = Math.floor(index / 20) * 10 * MINUTE;
      gaps.mark('bodyTooLarge', time, time, [{ clientKey: `${index}`.padEnd(100, 'k') }]);
      expect(JSON.stringify(gaps.list()).length).toBeLessThan(SLOT_BYTES - 1024);
    }
    expect(gaps.list().map(({ scope }) => scope)).toContain(null);
  });

  it('reports urgently when a gap begins or ends, but not when it only grows', () => {
    const told: boolean[] = [];
    const gaps = createGapRecorder((urgent) => told.push(urgent));
    gaps.open('spoolFull', 0);
    gaps.open('spoolFull', 1000);
    gaps.close('spoolFull', 2000);
    expect(told).toEqual([true, false, true]);
  });

  it("ends an earlier process's open gaps with its successor's start", () => {
    const gaps = createGapRecorder(() => undefined);
    gaps.restore([{ from: at(1), until: null, reason: 'spoolFailing', scope: null }], 3 * MINUTE);
    expect(gaps.list()).toMatchObject([{ from: at(1), until: at(3) }]);
  });

  const operation = fc.record({
    verb: fc.constantFrom('open' as const, 'close' as const, 'mark' as const),
    reason: fc.constantFrom(...gapReason.options),
    from: fc.nat({ max: 100_000 }).map((minutes) => minutes * MINUTE),
    length: fc.nat({ max: 100 }).map((minutes) => minutes * MINUTE),
    key: fc.string({ minLength: 1, maxLength: 100, unit: 'binary' }),
  });

  it('never forgets a moment that it once claimed, and stays small enough to be saved', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
        const gaps = createGapRecorder(() => undefined);
        const claimed: number[] = [];
        for (const { verb, reason, from, length, key } of operations) {
          if (verb === 'close') gaps.close(reason, from);
          else claimed.push(from);
          if (verb === 'open') gaps.open(reason, from, [{ clientKey: key }]);
          if (verb === 'mark') gaps.mark(reason, from, from + length, [{ clientKey: key }]);
        }
        const list = gaps.list().map((gap) => coverageGap.parse(gap));
        for (const moment of claimed) {
          expect(
            list.some((gap) => Date.parse(gap.from) <= moment && moment <= Date.parse(gap.until ?? at(200_000))),
          ).toBe(true);
        }
        expect(list.length).toBeLessThanOrEqual(MAX_GAPS);
        expect(JSON.stringify(list).length).toBeLessThan(SLOT_BYTES - 1024);
      }),
    );
  });
});
