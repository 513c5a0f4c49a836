import type { GapStatus } from '@edge-migration/contract/edge-migration/api.ts';
import { expect, test } from 'vitest';
import type { CaptureFact, CoverageGapFact } from './facts.ts';
import { collectGaps } from './gaps.ts';
import { facts, migration, NOON } from './testing/facts.ts';

const MINUTE = 60_000;
const iso = (time: number) => new Date(time).toISOString().replace('.000Z', 'Z');

/** The status's gaps after a look, ten minutes after noon, at what the sidecars report. */
function look(kept: GapStatus[], reported: CoverageGapFact[], speaking: string[]): GapStatus[] {
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
  expect(look([open(reason)], [reported], [])).toEqual([open(reason)]);
});

test.for(['sidecarVanished', 'noSidecar'])(
  'a gap by %s is none once its sidecar speaks, whose own report says what it has missed',
  (reason) => {
    expect(look([open(reason)], [], ['api-1'])).toEqual([]);
  },
);

test.for(['sidecarVanished', 'noSidecar'])(
  'a gap by %s of which no report tells any more stays when its sidecar never spoke again, whoever else does',
  (reason) => {
    expect(look([open(reason)], [], ['api-2'])).toEqual([ended(open(reason))]);
  },
);

test('a gap that a sidecar reported stays although the sidecar speaks and its report holds it no longer', () => {
  expect(look([open('spoolFull')], [], ['api-1'])).toEqual([ended(open('spoolFull'))]);
});

test('a gap that has ended is not taken back', () => {
  const before = ended(open('sidecarVanished'));
  expect(look([before], [], ['api-1'])).toEqual([before]);
});

test('the gap of a capture that was off may have begun as much earlier as the clock that told was perhaps ahead', () => {
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
