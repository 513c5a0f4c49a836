import { describe, expect, test } from 'vitest';
import { type Checkpoint, NO_TOTALS, type Position } from '../checkpoint.ts';
import { findStartPosition, identityMark, rememberPosition } from './position.ts';

const segments = [
  { environmentId: 7, after: 'a', until: null },
  { environmentId: 8, after: null, until: null },
];

function position(segment: number, identity: { id: number; identifier: string } | null, read = 0): Position {
  const totals = { ...NO_TOTALS, counts: { ...NO_TOTALS.counts, read } };
  return { segment, identity: identity && identityMark(identity), totals };
}

const checkpoint = (...positions: Position[]): Checkpoint => ({
  rangeId: 0,
  positions,
  finished: false,
  knownBySegment: [],
  updatedTime: '2026-01-01T00:00:00Z',
  instance: 'test',
  identitiesPerSecond: 0,
  truncated: false,
});

const core =
  (...identities: { id: number; identifier: string }[]) =>
  async (_environment: { id: number }, id: number) => {
    const found = identities.find((identity) => identity.id === id);
    return (
      found && {
        ...found,
        createdDate: '',
        systemTraits: null,
        traits: [],
        overrides: [],
        overrideWinner: 'highestId' as const,
      }
    );
  };

describe('a position', () => {
  test('names an identity without its identifier', () => {
    const text = JSON.stringify(position(0, { id: 4, identifier: 'user@example.com' }));
    expect(text).not.toContain('user');
    expect(text).toContain('"id":4');
  });

  test('is remembered with a few earlier ones and the start of its segment', () => {
    const start = position(1, null);
    let positions = [start];
    for (let id = 1; id <= 20; id++) positions = rememberPosition(positions, position(1, { id, identifier: `${id}` }));
    expect(positions[0]?.identity?.id).toBe(20);
    expect(positions.at(-1)).toBe(start);
    expect(positions.length).toBeLessThan(8);
  });
});

describe('resuming a range', () => {
  const first = position(0, { id: 1, identifier: 'one' }, 10);
  const second = position(0, { id: 2, identifier: 'two' }, 20);
  const start = position(0, null);

  test('continues behind the last identity that still exists', async () => {
    const found = await findStartPosition(
      checkpoint(second, first, start),
      segments,
      core({ id: 2, identifier: 'two' }),
    );
    expect(found).toEqual({ position: second, after: 'two' });
  });

  test.each([
    ['deleted', []],
    ['renamed', [{ id: 2, identifier: 'other' }]],
  ])('returns to the previous page and its counts if the last identity was %s', async (_, others) => {
    const lookUp = core({ id: 1, identifier: 'one' }, ...others);
    const found = await findStartPosition(checkpoint(second, first, start), segments, lookUp);
    expect(found).toEqual({ position: first, after: 'one' });
  });

  test('returns to the start of the segment if no remembered identity is left', async () => {
    expect(await findStartPosition(checkpoint(second, first, start), segments, core())).toEqual({
      position: start,
      after: 'a',
    });
  });

  test('does nothing behind the last segment', async () => {
    const end = position(2, null);
    expect(await findStartPosition(checkpoint(end), segments, core())).toEqual({ position: end, after: null });
  });
});
