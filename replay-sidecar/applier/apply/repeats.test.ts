import type { WriteEvent } from '@edge-migration/contract/write-event.ts';
import { expect, test } from 'vitest';
import { createRepeats } from './repeats.ts';

const repeats = createRepeats(60);

const NOON = Date.parse('2026-05-04T12:00:00Z');
const IDENTITY = { kind: 'identityId', identityId: 1 } as const;
const PROJECT = { kind: 'project', projectId: 1 } as const;

type Case = [
  outcome: WriteEvent['outcome'],
  target: WriteEvent['target'],
  seconds: number,
  next: number | undefined,
  round: number,
];

test.each<Case>([
  ['known', IDENTITY, 0, undefined, 0],
  ['known', PROJECT, 0, 65, 0],
  ['known', PROJECT, 65, undefined, 1],
  ['unknown', IDENTITY, 0, 65, 0],
  ['unknown', IDENTITY, 64, 65, 0],
  ['unknown', IDENTITY, 65, undefined, 1],
  ['background', PROJECT, 0, 65, 0],
  ['background', PROJECT, 65, 605, 1],
  ['background', PROJECT, 605, undefined, 2],
  // Parked for weeks: once is enough.
  ['background', PROJECT, 2_000_000, undefined, 2],
])('%s, %o: an event handled after %i s is next due at %s s, in round %i', (outcome, target, seconds, next, round) => {
  const now = NOON + seconds * 1000;
  const event = { outcome, target, touched: { traits: [], overrides: [] } } as unknown as WriteEvent;
  expect(repeats.next(event, NOON, now)).toBe(next === undefined ? undefined : NOON + next * 1000);
  expect(repeats.round(event, NOON, now)).toBe(round);
});

test('an override that came from another identity is handled again', () => {
  const touched = { traits: [], overrides: [] };
  const target = { kind: 'featureState', featureStateId: 1, moved: true } as const;
  const event = { outcome: 'known', target, touched } as unknown as WriteEvent;
  expect(repeats.next(event, NOON, NOON)).toBe(NOON + 65_000);
  const { moved: _, ...stayed } = target;
  expect(repeats.next({ ...event, target: stayed }, NOON, NOON)).toBeUndefined();
});

test('a new name of an identity is handled again once no request can still know the former one', () => {
  const touched = { traits: [], overrides: [], moved: true };
  const event = { outcome: 'known', target: IDENTITY, touched } as unknown as WriteEvent;
  expect(repeats.next(event, NOON, NOON)).toBe(NOON + 65_000);
  expect(repeats.next(event, NOON, NOON + 65_000)).toBeUndefined();
});

test('a longer time limit of the API lengthens the wait for what a request may still do', () => {
  const event = {
    outcome: 'unknown',
    target: IDENTITY,
    touched: { traits: [], overrides: [] },
  } as unknown as WriteEvent;
  const repeats = createRepeats(300);
  expect(repeats.next(event, NOON, NOON + 65_000)).toBe(NOON + 305_000);
  expect(repeats.next(event, NOON, NOON + 305_000)).toBeUndefined();
});
