import { gapReason } from '@edge-migration/contract/reports/coverage.ts';
import { SKIP_REASONS } from '@edge-migration/identity/edge/document/skip.ts';
import { OWN_REASONS } from '@edge-migration/operator/edge-migration/gaps.ts';
import { CONFIRMED_KINDS } from '@edge-migration/operator/edge-migration/verification-result.ts';
import { expect, test } from 'vitest';
import { TEXT } from './text.ts';

/** Reported by the operator's check of pods and appliers. */
const OBSERVED = ['notWatched', 'eventsDropped', 'parkingFull'];

test.each([
  ['reasons why identities are skipped', TEXT.skipped.reasons, Object.keys(SKIP_REASONS)],
  ['reasons of gaps', TEXT.gaps.reasons, [...gapReason.options, ...Object.values(OWN_REASONS), ...OBSERVED]],
  ['kinds of differences', TEXT.comparison.kinds, CONFIRMED_KINDS],
])('the page has a text for each of the %s, and for nothing else', (_, texts, names) => {
  expect(Object.keys(texts).toSorted()).toEqual([...new Set<string>(names)].toSorted());
});
