import type { Item } from './document/document.ts';
import { elementBytes, itemBytes, MAX_ITEM_BYTES } from './document/size.ts';
import { type KeyedList, listElements, OVERRIDES, type Pending, type Touched, TRAITS } from './merge.ts';

/** The part of a change that fits into the document, and the part that does not. */
export interface Fit {
  readonly fitting: Touched;
  readonly left: Pending;
}

interface Change {
  readonly list: 'traits' | 'overrides';
  readonly key: string;
  /** Growth of the document in bytes; negative: it shrinks. */
  readonly bytes: number;
}

/**
 * Selects as much of what was touched as fits into a document of the largest size: first everything that shrinks it,
 * then the rest, smallest first, so that as few keys as possible keep their old state.
 */
export function fitTouched(edge: Item, core: Item, touched: Touched): Fit {
  const changes = [
    ...describeChanges('traits', TRAITS, edge, core, touched.traits),
    ...describeChanges('overrides', OVERRIDES, edge, core, touched.overrides),
  ].sort((one, other) => one.bytes - other.bytes);
  let room = MAX_ITEM_BYTES - itemBytes({ identity_traits: { L: [] }, identity_features: { L: [] }, ...edge });
  const fitting = { traits: new Set<string>(), overrides: new Set<string>() };
  const left = { traits: new Set<string>(), overrides: new Set<string>() };
  for (const { list, key, bytes } of changes) {
    const fits = bytes <= 0 || bytes <= room;
    (fits ? fitting : left)[list].add(key);
    if (fits) room -= bytes;
  }
  return { fitting, left };
}

function describeChanges(
  list: Change['list'],
  { attribute, keyOf }: KeyedList,
  edge: Item,
  core: Item,
  touched: Touched['traits'],
): Change[] {
  const changes = new Map<string, number>();
  const count = (item: Item, sign: 1 | -1) => {
    for (const element of listElements(item, attribute)) {
      const key = keyOf(element);
      if (key === undefined || (touched !== 'all' && !touched.has(key))) continue;
      changes.set(key, (changes.get(key) ?? 0) + sign * elementBytes(element));
    }
  };
  count(core, 1);
  count(edge, -1);
  return [...changes].map(([key, bytes]) => ({ list, key, bytes }));
}
