export function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Where order does not matter, states that differ only in it are one. */
export function sorted<T>(items: readonly T[]): T[] {
  return items.length < 2 ? [...items] : items.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

export function withoutOne<T>(items: readonly T[], item: T): T[] {
  return without(items, items.indexOf(item));
}

export function without<T>(items: readonly T[], index: number): T[] {
  return items.toSpliced(index, 1);
}
