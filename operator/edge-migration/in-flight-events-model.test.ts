import { expect, test } from 'vitest';

/**
 * An exhaustive model of the question whether anything is under way, asked while one event, and all events derived from
 * it, move between the places: every order of the appliers' and the reader's steps. O: the stream, as first published;
 * A: derived events in the stream; P: parked.
 */
type Place = 'O' | 'A' | 'P';

interface State {
  /** An event that has left is already in its next place, and about to be removed from this one. */
  readonly copies: readonly { readonly place: Place; readonly hasLeft: boolean }[];
  readonly hops: number;
  /** The last sequence of the parked events. */
  readonly everParked: number;
  readonly answers: readonly Seen[];
}

interface Seen {
  readonly inStream: number;
  readonly derived: number;
  readonly parked: number;
  readonly everParked: number;
}

const MOVES: Record<Place, readonly Place[]> = { O: ['A', 'P'], A: ['A', 'P'], P: ['A'] };
const MOST_HOPS = 5;
const START: State = { copies: [{ place: 'O', hasLeft: false }], hops: 0, everParked: 0, answers: [] };

function seen({ copies, everParked }: State): Seen {
  const count = (place: Place) => copies.filter((copy) => copy.place === place).length;
  return { inStream: count('O'), derived: count('A'), parked: count('P'), everParked };
}

function* steps(state: State, checks: number): Generator<State> {
  const { copies, hops, everParked, answers } = state;
  for (const [index, { place, hasLeft }] of copies.entries()) {
    const others = copies.toSpliced(index, 1);
    if (hasLeft || place !== 'P') yield { ...state, copies: others };
    if (hasLeft || hops === MOST_HOPS) continue;
    for (const to of MOVES[place]) {
      const moved = [...others, { place, hasLeft: true }, { place: to, hasLeft: false }];
      yield { ...state, copies: moved, hops: hops + 1, everParked: everParked + (to === 'P' ? 1 : 0) };
    }
  }
  if (answers.length < checks) yield { ...state, answers: [...answers, seen(state)] };
}

/** Whether the rule, given the reader's observations in order, ever calls an unfinished event finished. */
function isFooled(checks: number, isDone: (...answers: Seen[]) => boolean): boolean {
  const known = new Set<string>();
  const open = [START];
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    const key = JSON.stringify(state);
    if (known.has(key)) continue;
    known.add(key);
    const isUnderWay = state.copies.some(({ hasLeft }) => !hasLeft);
    if (state.answers.length === checks && isUnderWay && isDone(...state.answers)) return true;
    open.push(...steps(state, checks));
  }
  return false;
}

const isEmpty = (parking: Seen, stream: Seen) => parking.parked === 0 && stream.inStream === 0 && stream.derived === 0;

test('nothing is under way if nothing is parked, then nothing is in the stream, and nothing was parked meanwhile', () => {
  expect(isFooled(3, (first, second, third) => isEmpty(first, second) && first.everParked === third.everParked)).toBe(
    false,
  );
});

test('no part of the rule about events under way can be left out', () => {
  expect(isFooled(3, (first, second) => isEmpty(first, second))).toBe(true);
  expect(isFooled(3, (first, second, third) => isEmpty(first, third) && second.everParked === third.everParked)).toBe(
    true,
  );
  expect(isFooled(3, (first, _, third) => first.parked === 0 && first.everParked === third.everParked)).toBe(true);
  expect(isFooled(3, (_, second, third) => isEmpty(third, second) && second.everParked === third.everParked)).toBe(
    true,
  );
  expect(
    isFooled(3, (first, second, third) => second.derived + first.parked === 0 && first.everParked === third.everParked),
  ).toBe(true);
  expect(
    isFooled(
      3,
      (first, second, third) => second.inStream + first.parked === 0 && first.everParked === third.everParked,
    ),
  ).toBe(true);
});
