import type { GapStatus } from '@edge-migration/contract/edge-migration/api.ts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CaptureFact, CoverageGapFact } from './facts.ts';
import { collectGaps } from './gaps.ts';
import { facts, migration, NOON } from './testing/facts.ts';

const MINUTE = 60_000;
const iso = (time: number) => new Date(time).toISOString().replace('.000Z', 'Z');

/** The status's gaps, ten minutes after noon, with these reports of the sidecars. */
function track(kept: GapStatus[], reported: CoverageGapFact[], speaking: string[]): GapStatus[] {
  const capture: CaptureFact = {
    kind: 'observed',
    ...{ covered: true, reason: 'AllCovered', message: '' },
    gaps: reported,
    speaking,
    allSentUntil: NOON,
  };
  const seen = facts({ now: NOON + 10 * MINUTE, migration: migration({ status: { gaps: kept } }), capture });
  return collectGaps(seen, iso(NOON - 60 * MINUTE), undefined);
}

const open = (reason: string): GapStatus => ({ from: iso(NOON), reason, podName: 'api-1' });
const ended = (gap: GapStatus): GapStatus => ({ ...gap, until: iso(NOON + 10 * MINUTE) });

test.for(['sidecarVanished', 'noSidecar'])('a gap by %s lasts while its sidecar is silent', (reason) => {
  const reported = { from: NOON, until: undefined, reason, podName: 'api-1' };
  expect(track([open(reason)], [reported], [])).toEqual([open(reason)]);
});

test.for(['sidecarVanished', 'noSidecar'])(
  'a gap by %s is dropped once its sidecar reports again, because its own report says what it has missed',
  (reason) => {
    expect(track([open(reason)], [], ['api-1'])).toEqual([]);
  },
);

test.for(['sidecarVanished', 'noSidecar'])(
  'a gap by %s that is no longer reported ends but stays while only other sidecars report',
  (reason) => {
    expect(track([open(reason)], [], ['api-2'])).toEqual([ended(open(reason))]);
  },
);

test('a gap reported by a sidecar stays after the sidecar has dropped it from its reports', () => {
  expect(track([open('spoolFull')], [], ['api-1'])).toEqual([ended(open('spoolFull'))]);
});

test('a gap that is no longer reported lasts until now, although an earlier one of the same pod ended right before it', () => {
  const earlier = { from: NOON - 4000, until: NOON - 500, reason: 'spoolFull', podName: 'api-1' };
  const [tracked] = track([open('spoolFull')], [earlier], []);
  expect(tracked?.until).toBe(iso(NOON + 10 * MINUTE));
});

test('a gap that has ended is not withdrawn', () => {
  const before = ended(open('sidecarVanished'));
  expect(track([before], [], ['api-1'])).toEqual([before]);
});

test("the gap of a disabled capture begins earlier by as much as the operator's clock may have been ahead", () => {
  const disabled = { status: 'True', reason: 'Disabled', message: '', lastTransitionTime: iso(NOON) } as const;
  const status = { conditions: [{ ...disabled, type: 'Capturing' }] };
  const capture: CaptureFact = {
    kind: 'observed',
    ...{ covered: true, reason: 'AllCovered', message: '', gaps: [], speaking: [], allSentUntil: NOON },
  };
  const seen = facts({ now: NOON + MINUTE, migration: migration({ status }), capture });
  const [gap] = collectGaps(seen, iso(NOON - 60 * MINUTE), undefined);
  expect(gap).toMatchObject({ from: iso(NOON - 10 * MINUTE), reason: 'captureDisabled' });
});

test('gaps of several pods in the same second stay the same when they are reported again', () => {
  const reported = ['api-2', 'api-1'].flatMap((podName, place) =>
    [0, 2, 4, 6].map((minute) => {
      const from = NOON + minute * MINUTE + 100 - 50 * place;
      return { from, until: from + 9_000, reason: 'spoolFailing', podName };
    }),
  );
  const first = track([], reported, []);
  expect(track(first, reported, [])).toEqual(first);
});

/** Close together, so that they touch, and in few seconds, so that many begin in the same. */
const reportedGaps = fc.array(
  fc.record({
    from: fc.integer({ min: NOON - 20_000, max: NOON + 20_000 }),
    lasts: fc.option(fc.integer({ min: 0, max: 10_000 }), { nil: undefined }),
    reason: fc.constantFrom('spoolFull', 'spoolFailing', 'sidecarVanished'),
    podName: fc.constantFrom('api-1', 'api-2', 'api-3', undefined),
  }),
  { maxLength: 15 },
);

test('whatever is reported, the same reports change no status a second time', () => {
  fc.assert(
    fc.property(reportedGaps, (reported) => {
      const gaps = reported.map(({ lasts, ...gap }) => ({
        ...gap,
        until: lasts === undefined ? undefined : gap.from + lasts,
      }));
      const first = track([], gaps, []);
      expect(track(first, gaps, [])).toEqual(first);
    }),
    { numRuns: 2000 },
  );
});
