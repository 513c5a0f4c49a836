/** How much of the spool each owner (an environment, as a rule) has. */
export interface Shares {
  /** Whether the owner may take more. */
  mayTake(owner: string): boolean;
  take(owner: string, bytes: number): void;
  giveBack(owner: string, bytes: number): void;
  /** Whether an owner has more than its share, so that its writes are refused. */
  isAnyOver(): boolean;
}

/** An owner alone gets four fifths of the spool, two get four ninths each, and there is always room for another one. */
const TIMES_FREE = 4;

/**
 * Dynamic thresholds, as switches share their buffers (Choudhury and Hahne, 1998): an owner may take more while it has
 * no more than a multiple of what is free. So one takes nearly all while others need nothing, and the last part is for
 * those that have little.
 *
 * @param free bytes, negative when the spool is over its limit
 */
export function createShares(free: () => number): Shares {
  const held = new Map<string, number>();
  const isOver = (bytes: number) => bytes > TIMES_FREE * free();
  return {
    mayTake: (owner) => free() > 0 && !isOver(held.get(owner) ?? 0),
    take(owner, bytes) {
      held.set(owner, (held.get(owner) ?? 0) + bytes);
    },
    giveBack(owner, bytes) {
      const left = (held.get(owner) ?? 0) - bytes;
      if (left > 0) held.set(owner, left);
      else held.delete(owner);
    },
    isAnyOver: () => free() <= 0 || [...held.values()].some(isOver),
  };
}
