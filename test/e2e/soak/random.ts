/** Numbers that are equal for equal seeds, so that a run can be repeated. */
export interface Random {
  /** At least 0 and less than 1. */
  next(): number;
  /** A whole number from `from` to `to`, both included. */
  integer(from: number, to: number): number;
  chance(share: number): boolean;
  /** @throws RangeError when there are no choices */
  pick<T>(choices: readonly T[]): T;
  /** Makes each choice in proportion to its weight. */
  weighted<T>(choices: readonly (readonly [weight: number, choice: T])[]): T;
  /** Another sequence of the same seed, which does not advance this one. */
  fork(name: string): Random;
}

/** Mulberry32: short, and good enough to choose what a client does next. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;

  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  const integer = (from: number, to: number) => from + Math.floor(next() * (to - from + 1));

  function pick<T>(choices: readonly T[]): T {
    if (choices.length === 0) throw new RangeError('There is nothing to choose from');
    return choices[integer(0, choices.length - 1)] as T;
  }

  return {
    next,
    integer,
    pick,
    chance: (share) => next() < share,
    weighted(choices) {
      let left = next() * choices.reduce((sum, [weight]) => sum + weight, 0);
      for (const [weight, choice] of choices) {
        left -= weight;
        if (left < 0) return choice;
      }
      return pick(choices)[1];
    },
    fork: (name) => createRandom([...name].reduce((hash, letter) => Math.imul(hash, 31) + letter.charCodeAt(0), seed)),
  };
}
