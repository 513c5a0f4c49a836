/** Sums that distinguish two sets of ids, independent of the order in which they are read. */
export interface IdSums {
  readonly count: number;
  readonly sum: bigint;
  readonly squares: bigint;
}

export const NO_IDS: IdSums = { count: 0, sum: 0n, squares: 0n };

export function addIds({ count, sum, squares }: IdSums, ids: readonly number[]): IdSums {
  const all = ids.map(BigInt);
  return {
    count: count + ids.length,
    sum: all.reduce((total, id) => total + id, sum),
    squares: all.reduce((total, id) => total + id * id, squares),
  };
}

export const areSame = (one: IdSums, other: IdSums): boolean =>
  one.count === other.count && one.sum === other.sum && one.squares === other.squares;

/** The identities that one process has read, in eight bytes each: a copy without Kubernetes reads a whole project. */
export interface ReadIds {
  add(ids: readonly number[]): void;
  has(id: number): boolean;
  /** The number of different ids. */
  count(): number;
}

export function createReadIds(): ReadIds {
  let ids = new Float64Array(1024);
  let size = 0;
  let isSorted = true;

  function sort(): void {
    if (isSorted) return;
    ids.subarray(0, size).sort();
    let kept = 0;
    for (let index = 0; index < size; index++)
      if (index === 0 || ids[index] !== ids[kept - 1]) ids[kept++] = ids[index]!;
    size = kept;
    isSorted = true;
  }

  return {
    add(more) {
      if (size + more.length > ids.length) {
        const larger = new Float64Array(2 * (size + more.length));
        larger.set(ids.subarray(0, size));
        ids = larger;
      }
      ids.set(more, size);
      size += more.length;
      isSorted = false;
    },
    has(id) {
      sort();
      let low = 0;
      let high = size;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (ids[middle]! < id) low = middle + 1;
        else high = middle;
      }
      return low < size && ids[low] === id;
    },
    count() {
      sort();
      return size;
    },
  };
}
