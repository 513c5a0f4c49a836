import type { Write } from './replica.ts';

/** A write that a client was told had succeeded, and that nothing of the item's last state stands on. */
export interface LostWrite {
  readonly write: Pick<Write, 'region' | 'item' | 'stamp' | 'over'>;
  /** The write of another region that won: made later, by a region that did not have the lost one yet. */
  readonly to: Pick<Write, 'region' | 'item' | 'stamp' | 'over'>;
  /** How much later the winner was made: the lost write's replication took at least so long. */
  readonly windowMs: number;
}

type Entry = LostWrite['write'];

/**
 * The writes of a history that last-writer-wins lost. A write stands on what its region had (`over`), so each item's
 * last write and all that it stands on, directly or not, are kept; every other one is lost.
 */
export function findLostWrites(history: readonly Entry[]): LostWrite[] {
  const items = Map.groupBy(history, ({ item }) => item);
  return [...items.values()].flatMap(findLostOfItem);
}

function findLostOfItem(writes: readonly Entry[]): LostWrite[] {
  const byStamp = new Map(writes.map((write) => [write.stamp, write]));
  const kept: Entry[] = [];
  let next = writes.reduce<Entry | undefined>(
    (last, each) => (last && last.stamp > each.stamp ? last : each),
    undefined,
  );
  while (next !== undefined) {
    kept.unshift(next);
    next = next.over === undefined ? undefined : byStamp.get(next.over);
  }
  const isKept = new Set(kept);
  return writes
    .filter((write) => !isKept.has(write))
    .map((write) => {
      // There is one: the last of all is kept.
      const to = kept.find(({ stamp }) => stamp > write.stamp)!;
      return { write, to, windowMs: to.stamp - write.stamp };
    });
}
