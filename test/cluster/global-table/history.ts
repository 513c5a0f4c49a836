import type { HistoryEntry } from './eventual.ts';

/** A write that was acknowledged to its client, and on which nothing of the item's last state is based. */
export interface LostWrite {
  readonly write: HistoryEntry;
  /** The winning write of another region: made later, by a region that did not have the lost one yet. */
  readonly to: HistoryEntry;
  /** How much later the winning write was made: the lost write's replication took at least that long. */
  readonly windowMs: number;
}

/**
 * The writes of a history that last-writer-wins lost. A write is based on its region's state (`over`), so each item's
 * last write and all that it is based on, directly or not, are kept; every other one is lost.
 */
export function findLostWrites(history: readonly HistoryEntry[]): LostWrite[] {
  const items = Map.groupBy(history, ({ item }) => item);
  return [...items.values()].flatMap(findLostOfItem);
}

function findLostOfItem(writes: readonly HistoryEntry[]): LostWrite[] {
  const byStamp = new Map(writes.map((write) => [write.stamp, write]));
  const kept: HistoryEntry[] = [];
  let next = writes.reduce<HistoryEntry | undefined>(
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
      // There is one, because the last of all is kept.
      const to = kept.find(({ stamp }) => stamp > write.stamp)!;
      return { write, to, windowMs: to.stamp - write.stamp };
    });
}
