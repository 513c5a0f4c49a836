import type { UnstorableIdentity } from '@edge-migration/contract/parked-place.ts';
import { expect, test } from 'vitest';
import { createSightings } from './sightings.ts';

const ADA: UnstorableIdentity = { environmentId: 3, identityId: 7, cause: 'KeyTakenByAnother' };
const BOB: UnstorableIdentity = { environmentId: 3, identityId: 8, cause: 'NumberTooPrecise' };

function create() {
  const clock = { now: 0, monotonic: () => clock.now };
  return { clock, ...createSightings(clock) };
}

test('an identity stays listed while its event is under way for another try', () => {
  const { clock, join } = create();
  expect(join(42, [ADA, BOB])).toEqual([ADA, BOB]);
  clock.now += 10_000;
  expect(join(42, [BOB])).toEqual([ADA, BOB]);
  clock.now += 10_000;
  expect(join(42, [ADA, BOB])).toEqual([ADA, BOB]);
});

test('an identity that Edge can hold is unlisted after half a minute at most', () => {
  const { clock, join } = create();
  join(42, [ADA, BOB]);
  clock.now += 10_000;
  join(42, [BOB]);
  clock.now += 11_000;
  expect(join(42, [BOB])).toEqual([BOB]);
  clock.now += 30_000;
  expect(join(42, [])).toEqual([]);
});

test('identities are kept by project, and the last of two causes counts', () => {
  const { join } = create();
  join(42, [ADA]);
  expect(join(43, [BOB])).toEqual([BOB]);
  const other = { ...ADA, cause: 'DocumentTooLarge' };
  expect(join(42, [other])).toEqual([other]);
});
